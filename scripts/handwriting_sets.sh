#!/usr/bin/env bash
# Downloads three public sets of handwritten digits and sorts their images into folders for suite=folder:
# data/handwriting/{nsysu,sudoku_phone,hwd1000_drawn}/{0..9}/*. No model is trained on them (docs/real-world.md).
#
#   bash scripts/handwriting_sets.sh
#   python -m mnist_exp.evaluate ckpt_path=... suite=folder suite.path=data/handwriting/nsysu
#
# Needs git and 1 GB of disk. GITHUB=... downloads from a mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
github=${GITHUB:-https://github.com}
target=${MNIST_EXP_DATA:-data}/handwriting
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT

fetch() { # OWNER/NAME: its newest state
    local folder=$source/${1#*/}
    git init --quiet "$folder"
    git -C "$folder" fetch --quiet --depth 1 "$github/$1" HEAD
    git -C "$folder" checkout --quiet FETCH_HEAD
}

place() { # SET LABEL FILE: one image into the folder of its label
    mkdir -p "$target/$1/$2"
    cp "$3" "$target/$1/$2/"
}

nsysu() { # scanned exams, ODbL 1.0: a CSV of file name, label (such as 5.0) and exam
    fetch SageLabTW/auto-grading
    local folder=$source/auto-grading/nsysu-digits file label
    while IFS=, read -r file label _; do
        label=${label%.0}
        if [[ $label =~ ^[0-9]$ && -f $folder/$file ]]; then place nsysu "$label" "$folder/$file"; fi
    done < "$folder/nsysu-digits.csv"
}

sudoku_phone() { # cells of photographed sudokus, MIT: folders 1 to 9 hold digits, folder 0 holds empty cells
    fetch AlexKubiesa/sudoku-scanner
    local file
    for file in "$source"/sudoku-scanner/datasets/digit_classification/*/[1-9]/*.jpg; do
        place sudoku_phone "$(basename "$(dirname "$file")")" "$file"
    done
}

hwd1000_drawn() { # drawn on a screen, MIT: a CSV of file name and label
    fetch niklashenning/hwd-1000-dataset
    local folder=$source/hwd-1000-dataset file label
    while IFS=, read -r file label; do
        label=${label%$'\r'}
        if [[ $label =~ ^[0-9]$ ]]; then place hwd1000_drawn "$label" "$folder/$file"; fi
    done < "$folder/dataset.csv"
}

for set in nsysu sudoku_phone hwd1000_drawn; do
    rm -rf "${target:?}/$set"
    "$set"
    echo "$target/$set: $(find "$target/$set" -type f | wc -l) images"
done
