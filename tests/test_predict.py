"""From image files to labels: python -m pytest tests/test_predict.py -v"""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import drawn
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from mnist_exp.cli.overrides import CONF
from mnist_exp.data.named_sets import CLOTHES
from mnist_exp.models.checkpoint import load_classifier
from mnist_exp.predict import main, predict


def config(checkpoint: Path, images: object, *overrides: str) -> DictConfig:
    output = checkpoint.parents[2] / "predictions.csv"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("predict", [f"ckpt_path={checkpoint}", f"output={output}", *overrides])
    cfg.images = images
    return cfg


def rows(cfg: DictConfig) -> list[list[str]]:
    with Path(cfg.output).open(newline="") as file:
        return list(csv.reader(file))


def test_a_row_holds_the_two_likeliest_labels(checkpoint: Path, pictures: Path):
    cfg = config(checkpoint, f"{pictures}/*.png")
    predict(cfg)
    model, _ = load_classifier(checkpoint)
    probs = model.probabilities(torch.from_numpy(np.stack([drawn(label, seed=label) for label in range(3)])))
    header, *body = rows(cfg)
    assert header == ["file", "label", "probability", "runner_up", "runner_up_probability", "sure"]
    assert [row[0] for row in body] == [f"{pictures}/{label}.png" for label in range(3)]
    assert [[int(row[1]), int(row[3])] for row in body] == probs.topk(2).indices.tolist()
    assert [float(row[2]) for row in body] == pytest.approx(probs.amax(dim=1).tolist(), abs=1e-6)


def test_the_classes_of_another_data_set_are_named(
    clothes_checkpoint: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    cfg = config(clothes_checkpoint, f"{pictures}/*.png")
    found, _ = predict(cfg)
    names = [[CLOTHES[each.label], CLOTHES[each.runner_up]] for each in found]
    assert [[row[1], row[3]] for row in rows(cfg)[1:]] == names
    assert all(name in capsys.readouterr().out for name in names[0][:1])
    kaggle = config(clothes_checkpoint, f"{pictures}/*.png", "columns=kaggle")
    predict(kaggle)
    assert [row[1] for row in rows(kaggle)[1:]] == [str(each.label) for each in found]


def test_a_picture_of_clothes_is_scaled_and_not_searched_for_ink(clothes_checkpoint: Path, tmp_path: Path):
    grey = Image.new("L", (56, 56), 200)
    grey.save(tmp_path / "coat.png")
    found, failures = predict(config(clothes_checkpoint, [str(tmp_path / "coat.png")]))
    assert (len(found), failures) == (1, {})


def test_what_is_not_sure_keeps_its_best_guess_and_is_marked_and_counted(
    checkpoint: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    certain, doubtful = config(checkpoint, str(pictures)), config(checkpoint, str(pictures), "min_confidence=1")
    predict(certain)
    everything = rows(certain)
    predict(doubtful)
    assert [row[:-1] for row in rows(doubtful)] == [row[:-1] for row in everything]
    assert [row[-1] for row in everything] == ["sure", "True", "True", "True"]
    assert [row[-1] for row in rows(doubtful)] == ["sure", "False", "False", "False"]
    printed = capsys.readouterr().out
    assert "3 of them not sure: their probability is below min_confidence=1" in printed
    assert f"not sure: {everything[1][1]} or {everything[1][3]}" in printed  # below the drawing


def test_a_table_of_predictions_from_before_there_was_sure_is_replaced(checkpoint: Path, pictures: Path):
    cfg = config(checkpoint, str(pictures))
    Path(cfg.output).write_text("file,label,probability,runner_up,runner_up_probability\n")
    predict(cfg)
    assert len(rows(cfg)) == 4


def test_a_bad_file_is_named_the_others_are_predicted_and_the_command_fails(
    checkpoint: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    (pictures / "1.png").write_bytes(b"no image")
    cfg = config(checkpoint, [str(pictures), "missing.png"])
    with pytest.raises(SystemExit, match="1"):
        main.__wrapped__(cfg)  # type: ignore[attr-defined]
    error = capsys.readouterr().err
    assert error.startswith("error: 2 could not be read")
    assert f"{pictures}/1.png: " in error
    assert "missing.png: " in error
    assert len(rows(cfg)) == 3


def test_each_step_of_the_preprocessing_is_drawn_on_request(checkpoint: Path, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(255 - drawn(3, seed=0)).resize((140, 140)).save(folder / "three.png")
    Image.new("L", (100, 100), 255).save(folder / "blank.png")
    cfg = config(checkpoint, str(folder), "show=steps")
    _, failures = predict(cfg)
    assert list(failures) == [f"{folder}/blank.png"]
    steps = Path(cfg.output).with_name("predictions-steps")
    assert sorted(path.name for path in steps.iterdir()) == ["001-blank.png", "002-three.png"]


def test_nothing_is_written_if_no_image_can_be_read(checkpoint: Path):
    cfg = config(checkpoint, "missing.png")
    with pytest.raises(ValueError, match=r"missing\.png"):
        predict(cfg)
    assert not Path(cfg.output).exists()


def test_a_csv_of_kaggle_becomes_a_submission_for_kaggle(checkpoint: Path, tmp_path: Path):
    images = np.stack([drawn(label, seed=0) for label in range(4)])
    header = ",".join(f"pixel{index}" for index in range(784))
    np.savetxt(tmp_path / "test.csv", images.reshape(4, 784), fmt="%d", delimiter=",", header=header, comments="")
    cfg = config(checkpoint, str(tmp_path / "test.csv"))
    predict(cfg)
    preds = load_classifier(checkpoint)[0].probabilities(torch.from_numpy(images)).argmax(dim=1)
    assert rows(cfg) == [["ImageId", "Label"], *([str(number), str(int(p))] for number, p in enumerate(preds, 1))]


def test_the_columns_of_a_table_with_labels_are_all_unless_kaggles_are_asked_for(checkpoint: Path, tmp_path: Path):
    table = np.stack([np.append(label, drawn(label, seed=0)) for label in range(10)])
    np.savetxt(tmp_path / "test.csv", table, fmt="%d", delimiter=",")
    for columns, header in (("auto", "file"), ("all", "file"), ("kaggle", "ImageId")):
        cfg = config(checkpoint, str(tmp_path / "test.csv"), f"columns={columns}")
        predict(cfg)
        assert rows(cfg)[0][0] == header
        assert [row[0] for row in rows(cfg)[1:]] == [str(number) for number in range(1, 11)]


def test_a_file_of_the_users_is_not_replaced(checkpoint: Path, tmp_path: Path):
    table = tmp_path / "test.csv"
    np.savetxt(table, drawn(3, seed=0).reshape(1, 784), fmt="%d", delimiter=",")
    before = table.read_bytes()
    with pytest.raises(ValueError, match=r"test\.csv would replace a file that holds no predictions"):
        predict(config(checkpoint, str(table), f"output={table}"))
    assert table.read_bytes() == before


@pytest.mark.parametrize("columns", ["kaggle", "all"])
def test_earlier_predictions_are_replaced(checkpoint: Path, pictures: Path, columns: str):
    cfg = config(checkpoint, str(pictures), f"columns={columns}")
    predict(cfg)
    (pictures / "2.png").unlink()
    predict(cfg)
    assert len(rows(cfg)) == 3


@pytest.mark.parametrize(("show", "shown"), [("auto", True), ("false", False)])
def test_a_few_images_are_drawn_as_the_network_saw_them(
    checkpoint: Path, pictures: Path, show: str, shown: bool, capsys: pytest.CaptureFixture[str]
):
    predict(config(checkpoint, str(pictures), f"show={show}"))
    assert ("█" in capsys.readouterr().out) is shown


def test_a_long_path_does_not_break_the_lines_of_the_table(
    checkpoint: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    (deep := pictures / "a_long_name" / "3").mkdir(parents=True)
    (pictures / "2.png").rename(deep / "ballpen_0001.png")
    predict(config(checkpoint, str(deep), "show=false"))
    assert " 3/ballpen_0001.png " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "fragment"),
    [
        ([], "ckpt_path=... is needed"),
        (["ckpt_path=[a.ckpt,b.ckpt]", "images=a.png"], "predict takes one checkpoint"),
        (["ckpt_path=a.ckpt"], "images=... is needed"),
        (["ckpt_path=missing.ckpt", "images=a.png"], "no checkpoint at missing.ckpt"),
    ],
)
def test_what_is_missing_is_named(overrides: list[str], fragment: str):
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(ValueError, match=fragment):
        predict(compose("predict", overrides))


@pytest.mark.parametrize(("count", "drawn_too"), [(10, True), (11, False)])
def test_up_to_ten_images_are_drawn(
    count: int, drawn_too: bool, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for index in range(count):
        Image.fromarray(drawn(index % 10, seed=index)).save(tmp_path / f"{index}.png")
    predict(config(checkpoint, f"{tmp_path}/*.png"))
    assert ("█" in capsys.readouterr().out) is drawn_too
