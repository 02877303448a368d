#!/usr/bin/env bash
# Repeats the studies behind docs/. Reports go to outputs/reports, data files and pictures to docs/.
# All studies together take hours on two cores. If you stop the script, start it again to continue.
#
#   bash scripts/reproduce.sh            all studies
#   bash scripts/reproduce.sh puzzle     one study: puzzle | learning_rate | batch_size | real_world | augment
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

puzzle() {
    # With seed 0, every recipe is trained from both sources. With the other seeds, recipes are trained from images only:
    # a run from the CSV gives the same weights bit for bit, so compare.borrow uses the accuracy of the image run.
    $python -m mnist_exp.train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="0"'
    $python -m mnist_exp.train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="1,2"' hydra.sweeper.params.data=image
    $python -m mnist_exp.compare runs=outputs/sweeps/puzzle 'compare.epochs=[3,20]' 'compare.borrow=[data]' \
        'compare.from={data:image,model:mlp,optimizer:sgd,model.standardize:false,epochs:20}' \
        'compare.to={data:csv,model:cnn,optimizer:adam,model.standardize:true,epochs:3}'
}

learning_rate() {
    # Solution 1 with another learning rate or optimizer: curves of 20 epochs, and five seeds of SGD at 0.1 after 3 epochs.
    local study="study=learning_rate experiment=solution1 logger=none"
    $python -m mnist_exp.train -m $study 'milestones=[3,20]' seed=0 optimizer.lr=0.001,0.1
    $python -m mnist_exp.train -m $study 'milestones=[3,20]' seed=0 optimizer=adam
    $python -m mnist_exp.train -m $study 'milestones=[3]' seed=1,2,3,4 optimizer.lr=0.1 trainer.max_epochs=3
    $python -m scripts.figures learning_rate outputs/sweeps/learning_rate
}

batch_size() {
    # Runs with the largest scaled learning rates diverge. Their jobs fail, and the reports list them.
    $python -m mnist_exp.train sweep=batch_size hydra/launcher=joblib || true
    $python -m mnist_exp.train sweep=batch_size_updates hydra/launcher=joblib || true
    $python -m mnist_exp.compare runs=outputs/sweeps/batch_size
    $python -m mnist_exp.compare runs=outputs/sweeps/batch_size_updates
}

real_world() {
    # Three seeds of solution2 and fast, one seed of solution1 and of robust, which takes 22 to 25 minutes.
    $python -m mnist_exp.train -m study=real_world logger=none experiment=solution2,fast seed=0,1,2
    $python -m mnist_exp.train -m study=real_world logger=none experiment=solution1,robust seed=0
    local runs=(outputs/sweeps/real_world/*/)
    evaluate() { # RUN_FOLDER/ ...: all of them side by side on $suite
        local list
        list=$(printf ",'%scheckpoints/best.ckpt'" "$@")
        $python -m mnist_exp.evaluate "ckpt_path=[${list:1}]" "${suite[@]}"
    }
    suite=(suite=all)
    evaluate "${runs[@]}"
    for set in data/handwriting/*/; do # made by scripts/handwriting_sets.sh
        [ -d "$set" ] || continue
        suite=(suite=folder suite.path="$set")
        evaluate "${runs[@]}"
    done
    for severity in 0 1 2 3 4 5; do
        suite=(suite=corruptions suite.name=corruptions-$severity suite.severity=$severity suite.every=5)
        evaluate outputs/sweeps/real_world/*seed-0/
    done
    $python -m scripts.figures real_world "${runs[@]}"
}

augment() {
    # One run without each part, and two runs with all parts. The difference of these two shows how much is chance.
    $python -m mnist_exp.train sweep=augment
    $python -m mnist_exp.train sweep=augment augment.without=null seed=1
    for checkpoint in outputs/sweeps/augment/*/checkpoints/best.ckpt; do
        $python -m mnist_exp.evaluate "ckpt_path='$checkpoint'" suite=all
    done
}

for study in "${@:-puzzle learning_rate batch_size real_world augment}"; do
    for each in $study; do "$each"; done
done
