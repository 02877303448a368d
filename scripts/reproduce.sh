#!/usr/bin/env bash
# Repeats the studies behind docs/. Reports go to outputs/reports, data files and pictures to docs/.
# All studies together take hours on two cores. If you stop the script, start it again to continue.
#
#   bash scripts/reproduce.sh            all studies
#   bash scripts/reproduce.sh puzzle     one study: puzzle | learning_curves | learning_rate | fashion | batch_size | batch_size_tuned | real_world | augment
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
train="$python -m mnist_exp.train"

puzzle() {
    # With seed 0, every recipe is trained from both sources. With the other seeds, recipes are trained from images only:
    # a run from the CSV gives the same weights bit for bit, so compare.borrow uses the accuracy of the image run.
    $train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="0"'
    $train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="1,2"' hydra.sweeper.params.data=image
    $python -m mnist_exp.compare runs=outputs/sweeps/puzzle 'compare.epochs=[3,20]' 'compare.borrow=[data]' \
        'compare.from={data:image,model:mlp,optimizer:sgd,model.standardize:false,epochs:20}' \
        'compare.to={data:csv,model:cnn,optimizer:adam,model.standardize:true,epochs:3}'
    cp outputs/reports/puzzle/runs.csv docs/data/puzzle.csv
    $python -m scripts.tables
}

learning_curves() {
    # Solution 1 with another learning rate or optimizer, for 20 epochs.
    local study="study=learning_curves experiment=solution1 logger=none"
    $train -m $study 'milestones=[3,20]' seed=0 optimizer.lr=0.001,0.1
    $train -m $study 'milestones=[3,20]' seed=0 optimizer=adam
    $python -m scripts.figures learning_curves outputs/sweeps/learning_curves
}

learning_rate() {
    # One seed tries many rates, and other seeds use the one with the best validation accuracy. The last weights are
    # tested, so that validation chooses nothing but the rate. The highest rates may diverge: these jobs fail.
    local study="study=learning_rate trainer.max_epochs=3 callbacks.best.monitor=null logger=none threads=1 model.standardize=true"
    $train -m $study seed=0 model=mlp,cnn optimizer=sgd optimizer.lr=0.001,0.003,0.01,0.03,0.1,0.3,1 || true
    $train -m $study seed=0 model=mlp,cnn optimizer=sgd_momentum optimizer.lr=0.0003,0.001,0.003,0.01,0.03,0.1,0.3 || true
    $train -m $study seed=0 model=mlp,cnn optimizer=adam optimizer.lr=0.0001,0.0003,0.001,0.003,0.01,0.03 || true
    $python -m scripts.tuning outputs/sweeps/learning_rate optimizer.lr model optimizer |
        while read -r recipe; do $train -m $study seed=1,2,3,4,5 $recipe </dev/null || true; done
    $python -m scripts.figures learning_rate outputs/sweeps/learning_rate
    $python -m scripts.tables
}

fashion() {
    # The puzzle's recipes on Fashion-MNIST, and solution 2 from both sources.
    local study="study=fashion data.dataset=fashion_mnist logger=none"
    $train -m $study experiment=solution1 'milestones=[3,20]' seed=0,1,2
    $train -m $study experiment=solution1 'milestones=[3]' trainer.max_epochs=3 optimizer=adam seed=0,1,2
    $train -m $study experiment=solution1 'milestones=[3]' trainer.max_epochs=3 optimizer.lr=0.1 seed=0,1,2
    $train -m $study experiment=solution2 'milestones=[3]' data=image seed=0,1,2
    $train -m $study experiment=solution2 'milestones=[3]' data=csv seed=0
    $python -m scripts.fashion outputs/sweeps/fashion
    $python -m scripts.tables
}

batch_size() {
    # The fixed and the scaled rate with three seeds, and two more where the scaled rate is compared with batches of 64.
    # Then the scaled rate with a warm-up. The jobs with the largest scaled rates diverge and fail. The reports list them.
    local each sizes="hydra.sweeper.params={optimizer:sgd_scaled,data.batch_size"
    $train sweep=batch_size || true
    $train sweep=batch_size "$sizes:'64,512,1024',seed:'3,4'}" || true
    $train sweep=batch_size "$sizes:'2048,4096,8192',seed:'0,1,2,3,4'}" scheduler=warmup || true
    $train sweep=batch_size_updates || true
    for each in batch_size batch_size_updates; do
        $python -m mnist_exp.compare runs=outputs/sweeps/$each
        $python -m scripts.figures $each outputs/sweeps/$each
    done
    $python -m scripts.tables
}

batch_size_tuned() {
    # As in learning_rate: one seed tries the rates of large batches, and three others use the best one.
    local study="study=batch_size_tuned model=mlp trainer.max_epochs=5 callbacks.best.monitor=null logger=none threads=1"
    local large="data.batch_size=4096,8192"
    $train -m $study $large seed=0 optimizer=sgd_momentum optimizer.lr=0.03,0.1,0.3 || true
    $train -m $study $large seed=0 optimizer=adam optimizer.lr=0.001,0.003,0.01 || true
    $python -m scripts.tuning outputs/sweeps/batch_size_tuned optimizer.lr optimizer data.batch_size |
        while read -r recipe; do $train -m $study seed=1,2,3 $recipe </dev/null || true; done
    $python -m scripts.figures batch_size_tuned outputs/sweeps/batch_size_tuned
    $python -m scripts.tables
}

real_world() {
    # Three seeds of solution2, fast and robust, which takes 11 minutes, and one of solution1. One more run of robust
    # leaves out the effects that resemble corruptions of MNIST-C.
    $train -m study=real_world logger=none experiment=solution2,fast,robust seed=0,1,2
    $train -m study=real_world logger=none experiment=solution1 seed=0
    $train -m study=relatives logger=none experiment=robust augment.without=relatives seed=0
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
    $python -m scripts.tables
}

augment() {
    # Three seeds without each part, and with all parts.
    $train sweep=augment
    for checkpoint in outputs/sweeps/augment/*/checkpoints/best.ckpt; do
        $python -m mnist_exp.evaluate "ckpt_path='$checkpoint'" suite=all
    done
}

for study in "${@:-puzzle learning_curves learning_rate fashion batch_size batch_size_tuned real_world augment}"; do
    for each in $study; do "$each"; done
done
