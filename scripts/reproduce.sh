#!/usr/bin/env bash
# Runs the studies behind docs/, and writes their reports to outputs/reports. Hours on two cores; started again, it goes
# on where it was stopped.
#
#   bash scripts/reproduce.sh            all of it
#   bash scripts/reproduce.sh puzzle     one study: puzzle | batch_size | real_world | augment
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python

puzzle() {
    # Every cell once; further seeds from images only: a CSV cell is bit for bit the image cell (compare.borrow).
    $python -m mnist_exp.train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="0"'
    $python -m mnist_exp.train sweep=puzzle hydra/launcher=joblib 'hydra.sweeper.params.seed="1,2"' hydra.sweeper.params.data=image
    $python -m mnist_exp.compare runs=outputs/sweeps/puzzle 'compare.epochs=[3,20]' 'compare.borrow=[data]' \
        'compare.from={data:image,model:mlp,optimizer:sgd,model.standardize:false,epochs:20}' \
        'compare.to={data:csv,model:cnn,optimizer:adam,model.standardize:true,epochs:3}'
}

batch_size() {
    # The largest scaled learning rates diverge: those jobs end as failed, and the reports list them.
    $python -m mnist_exp.train sweep=batch_size hydra/launcher=joblib || true
    $python -m mnist_exp.train sweep=batch_size_updates hydra/launcher=joblib || true
    $python -m mnist_exp.compare runs=outputs/sweeps/batch_size
    $python -m mnist_exp.compare runs=outputs/sweeps/batch_size_updates
}

real_world() {
    local runs=()
    for experiment in solution1 solution2 robust; do
        $python -m mnist_exp.train experiment=$experiment
        runs+=("$(ls -td outputs/runs/$experiment/*/ | head -n 1)")
        checkpoint=${runs[-1]}checkpoints/best.ckpt
        $python -m mnist_exp.evaluate "ckpt_path='$checkpoint'" suite=all
        for severity in 0 1 2 3 4 5; do
            $python -m mnist_exp.evaluate "ckpt_path='$checkpoint'" suite=corruptions \
                suite.name=corruptions-$severity suite.severity=$severity suite.every=5
        done
    done
    $python -m scripts.figures "${runs[@]}"
}

augment() {
    # The whole recipe three times, so that chance is known; once without each part.
    $python -m mnist_exp.train sweep=augment
    $python -m mnist_exp.train sweep=augment augment.without=null seed=1,2
    for checkpoint in outputs/sweeps/augment/*/checkpoints/best.ckpt; do
        $python -m mnist_exp.evaluate "ckpt_path='$checkpoint'" suite=all
    done
}

for study in "${@:-puzzle batch_size real_world augment}"; do
    for each in $study; do "$each"; done
done
