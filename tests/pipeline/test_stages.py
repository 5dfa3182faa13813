"""Which stages a changed setting undoes, and what a run folder refuses."""

import contextlib
import logging

import pytest

from rayqc.api import runs
from rayqc.config import make_config
from rayqc.config.reach import enters, stages_entered
from rayqc.config.settings import Config
from rayqc.errors import ArtefactError, ConflictError, InputError, UserError
from rayqc.kinds import STAGES as REGISTER
from rayqc.pipeline.records import begin, clear_stages, done, is_done
from rayqc.pipeline.run_folder import code_of, open_run
from rayqc.pipeline.stage import affected, all_stages, downstream
from rayqc.storage import Folder


def config(**sections):
    return make_config({"references": {"kind": "bundled"}, **sections})


STAGES = REGISTER.names


def test_every_section_says_which_stages_it_enters():
    for name, field in Config.model_fields.items():
        assert enters(field) is not None, name
        assert set(stages_entered(Config, name)) <= set(STAGES)


def test_records_and_register_agree():
    """A stage needs only stages before it, and no two write the same."""
    outputs = [output for stage in all_stages() for output in stage.outputs]
    assert len(set(outputs)) == len(outputs)
    for number, stage in enumerate(all_stages()):
        assert stage.name == STAGES[number]
        assert set(stage.needs) <= set(STAGES[:number])


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("encoder.steps: 1 -> 2", STAGES),
        ("regions.coverage: 1 -> 2", ("fit", "filter", "classify")),
        ("pool: 1 -> 2", ("generate", "filter", "classify")),
        ("references.seed: 1 -> 2", STAGES),
        ("filter.limit: 1 -> 2", ("generate", "filter", "classify")),
        ("filter.actors: 1 -> 2", ()),
        ("resources.use_gpu: 1 -> 2", ()),
        ("classify.seeds: 1 -> 2", ("classify",)),
        ("filter.shard_mb: 1 -> 2", ("filter", "classify")),
    ],
)
def test_stages_a_change_affects(change, stages):
    assert affected([change], config(), config()) == stages


LEARNS = {"regions": {"pool_images": 100}, "pool": [{"path": "made"}]}
OF_FIT = ("fit", "generate", "filter", "classify")


def test_another_pool_is_learned_from_anew():
    learns = config(**LEARNS)
    assert affected(["pool: 1 -> 2"], learns, learns) == OF_FIT
    assert affected(["inputs.pool: 1 -> 2"], learns, learns) == OF_FIT


@pytest.mark.parametrize(("limit", "stages"), [(20, OF_FIT), (100, OF_FIT[1:]), (None, OF_FIT[1:])])
def test_a_sample_that_the_label_learned_from_is_not_the_whole_pool(limit, stages):
    sample = config(**LEARNS, filter={"limit": limit})
    assert affected(["filter.limit: 1 -> 2"], sample, config(**LEARNS)) == stages


def test_regions_forget_a_pool_that_was_taken_out():
    assert affected(["pool: 1 -> 2"], config(**LEARNS), config()) == OF_FIT


def test_a_generator_in_the_runs_size_is_judged_without_detail():
    of_gan = config(pool=[{"kind": "gan"}])
    assert affected(["pool: 1 -> 2"], config(), of_gan) == OF_FIT
    by_label = config(pool=[{"kind": "gan", "statistic": "label"}])
    assert affected(["pool: 1 -> 2"], config(), by_label) == OF_FIT[1:]


def test_downstream():
    assert downstream("classify") == ("classify",)
    assert downstream("fit") == ("fit", "filter", "classify")
    assert downstream("train") == STAGES


@pytest.fixture
def run(tmp_path):
    folder = Folder(str(tmp_path / "run"))
    open_run(folder, config(), redo=False)
    return folder


def test_a_folder_that_is_no_run_says_how_to_start(tmp_path):
    with pytest.raises(
        InputError, match="is no run: found no config.yaml; start with `rayqc train"
    ):
        open_run(Folder(str(tmp_path)), None, redo=False)


@pytest.mark.parametrize("name", ["pool/mine.png", "model/net.py", "regions/notes.txt"])
def test_a_run_does_not_begin_where_a_stage_would_delete_files(name, tmp_path):
    """They would go with the first `--redo`, or with a first stage that fails."""
    place = tmp_path / name
    place.parent.mkdir()
    place.write_text("mine")
    with pytest.raises(ConflictError, match=f"holds {name}, which no run wrote"):
        open_run(Folder(str(tmp_path)), config(), redo=True)
    assert place.read_text() == "mine"
    assert not (tmp_path / "config.yaml").exists()
    (tmp_path / name).rename(tmp_path / "mine")
    open_run(Folder(str(tmp_path)), config(), redo=False)  # what no stage touches may be there


@pytest.mark.parametrize("section", ["references", "test", "pool"])
def test_a_run_does_not_begin_in_the_images(section, tmp_path):
    data = {"path": str(tmp_path / "images")}
    sections = {section: [data] if section == "pool" else data}
    for out in ("images", "images/run"):
        with pytest.raises(ConflictError, match="lies in the images at"):
            open_run(Folder(str(tmp_path / out)), config(**sections), redo=False)
    open_run(Folder(str(tmp_path / "imagesrun")), config(**sections), redo=False)


@pytest.mark.parametrize("damage", [b"references: [", b"", b"\xff\xfe", b"encoder: {steps: 3}"])
def test_damaged_settings_of_a_run_are_told_as_such(damage, run):
    run.write("config.yaml", damage)
    with pytest.raises(ArtefactError, match="begin anew in another folder"):
        open_run(run, None, redo=False)


def test_nothing_is_cleared_where_ray_does_not_start(run, monkeypatch):
    for name in STAGES:
        begin(run, name)
        done(run, name, 1.0, {})
    run.write("filtered/_SUCCESS", b"")

    @contextlib.contextmanager
    def no_ray(address, num_cpus):
        raise UserError("cannot start or join Ray")
        yield

    monkeypatch.setattr(runs, "session", no_ray)
    with pytest.raises(UserError, match="cannot start"):
        runs.do_one_stage("filter", str(run), redo=True)
    assert run.exists("filtered/_SUCCESS")
    assert all(is_done(run, name) for name in STAGES)
    with pytest.raises(UserError, match=r"no Ray cluster answers at 127.0.0.1:1:"):
        runs.run(config(encoder={"steps": 3}), str(run), redo=True, address="127.0.0.1:1")
    assert run.exists("filtered/_SUCCESS")
    assert all(is_done(run, name) for name in STAGES)


def test_stages_go_in_order(run):
    with pytest.raises(InputError, match="`fit` needs `train` first; run `rayqc train"):
        begin(run, "fit")
    begin(run, "train")
    assert not is_done(run, "train")
    done(run, "train", 1.0, {})
    assert is_done(run, "train")
    begin(run, "fit")


def test_changes_to_stages_not_begun_are_taken(run):
    begin(run, "train")
    other = config(classify={"seeds": 2})
    assert open_run(run, other, redo=False) == other
    assert open_run(run, None, redo=False) == other


def test_changes_to_stages_begun_are_refused_and_redone(run):
    begin(run, "train")
    done(run, "train", 1.0, {})
    begin(run, "fit")
    run.write("model/model.json", b"{}")
    run.write("regions/regions.json", b"{}")
    other = config(regions={"coverage": 0.9})
    with pytest.raises(ConflictError, match=r"regions.coverage: 0.95 -> 0.9\); this affects fit"):
        open_run(run, other, redo=False)
    assert open_run(run, None, redo=False) == config()
    assert open_run(run, other, redo=True) == other
    assert is_done(run, "train") and run.exists("model/model.json")
    assert not run.exists("regions/regions.json") and not run.exists("stages/fit.json")


def test_clearing_leaves_other_stages(run):
    for name in ("pool/_SUCCESS", "filtered/_SUCCESS", "filtered/accepted/x", "classify.json"):
        run.write(name, b"")
    clear_stages(run, ["filter", "classify"])
    assert run.names() == ["config.yaml", "inputs.json", "pool/_SUCCESS"]


def test_changed_images_are_refused_as_changed_settings_are(tmp_path):
    folder = Folder(str(tmp_path))
    inputs = {"references": "a", "test": "b", "pool": "c"}
    open_run(folder, config(), redo=False, inputs=inputs)
    begin(folder, "train")
    assert open_run(folder, config(), redo=False, inputs=inputs) == config()
    with pytest.raises(
        ConflictError, match=r"\(references: other files or images\); this affects train"
    ):
        open_run(folder, config(), redo=False, inputs={**inputs, "references": "x"})
    open_run(folder, config(), redo=False, inputs={**inputs, "pool": "x"})  # not begun


def test_long_changes_are_told_in_short(tmp_path):
    folder, inputs = Folder(str(tmp_path)), {"references": "a", "pool": "b"}
    open_run(folder, config(), redo=False, inputs=inputs)
    begin(folder, "train")
    pool = [{"path": f"some/{number}", "name": f"n{number}"} for number in range(9)]
    other = config(pool=pool, references={"kind": "parquet", "path": "other"})
    with pytest.raises(ConflictError) as refused:
        open_run(folder, other, redo=False, inputs={"references": "c", "pool": "d"})
    said = str(refused.value)
    assert "references.path: null -> 'other'" in said
    assert "pool: others" in said
    two = [{"kind": "augment", "per_reference": count, "policy": "mild"} for count in (3, 4)]
    two[1]["name"] = "second"
    once = Folder(str(tmp_path / "two"))
    open_run(once, config(pool=two), redo=False)
    begin(once, "train")
    done(once, "train", 1.0, {})
    begin(once, "generate")
    changed = [two[0], {**two[1], "per_reference": 9}]
    with pytest.raises(ConflictError, match=r"\(pool.1.per_reference: 4 -> 9\); this affects gen"):
        open_run(once, config(pool=changed), redo=False)
    assert "inputs." not in said
    assert len(said) < 400


def test_redo_of_a_stopped_run_goes_on_where_it_is_asked_to(run, caplog):
    begin(run, "train")
    done(run, "train", 1.0, {})
    begin(run, "fit")
    with caplog.at_level(logging.INFO, "rayqc"):
        assert open_run(run, config(), redo=True, goes_on=True) == config()
    assert is_done(run, "train")
    assert "goes on with what is left" in caplog.text
    changed = config(encoder={"steps": 7})
    open_run(run, changed, redo=True, goes_on=True)
    assert not run.exists("stages/train.json")


def test_redo_without_a_change_does_all_anew(run):
    for stage in ("train", "fit"):
        begin(run, stage)
        done(run, stage, 1.0, {})
    open_run(run, config(), redo=True)
    assert not is_done(run, "train") and not is_done(run, "fit")


def test_a_file_of_weights_that_was_replaced_is_a_changed_input(tmp_path):
    folder = Folder(str(tmp_path))
    inputs = {"references": "a", "encoder": "w"}
    open_run(folder, config(), redo=False, inputs=inputs)
    begin(folder, "train")
    with pytest.raises(ConflictError, match=r"\(encoder: other weights\); this affects train"):
        open_run(folder, config(), redo=False, inputs={**inputs, "encoder": "x"})


def test_a_run_that_did_not_note_its_weights_takes_them_as_they_are(tmp_path):
    folder = Folder(str(tmp_path))
    open_run(folder, config(), redo=False, inputs={"references": "a"})
    begin(folder, "train")
    assert open_run(folder, config(), redo=False, inputs={"references": "a", "encoder": "w"})


def test_code_that_the_settings_given_name_is_the_users_own(tmp_path):
    folder = Folder(str(tmp_path / "run"))
    exported = {"kind": "exported", "path": "mine.pt", "noise_dim": 8}
    settings = config(encoder={"kind": "python", "target": "mine:encoder"}, pool=[exported])
    open_run(folder, settings, redo=False)
    assert open_run(folder, None, redo=False).pool[0].code() is None
    assert open_run(folder, None, redo=False, trust=code_of(settings)) == settings
