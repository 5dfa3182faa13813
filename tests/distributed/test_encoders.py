"""Regions on other encoders than the VAE, through train, fit and filter."""

import pytest

import rayqc
from rayqc.distributed.classifiers import probe
from rayqc.errors import ArtefactError, ConfigError, UntrustedCodeError
from rayqc.storage import Folder, read_json, write_json
from tests.conftest import tiny

KINDS = {
    "supervised": {"kind": "supervised", "width": 0.02, "steps": 20},
    "contrastive": {"kind": "contrastive", "width": 0.02, "steps": 10},
    "pretrained": {"kind": "pretrained"},
    "python": {"kind": "python", "target": "tests.models.test_features:Means"},
}


REGIONS = {
    "supervised": ("calibrated", "sphere_loo"),
    "contrastive": ("sphere_loo",),
    "pretrained": ("calibrated",),
    "python": ("calibrated",),
}


def settings_of(kind, region):
    views = ["edges", "latent"] if kind in ("python", "pretrained") else ["edges"]
    return tiny(
        encoder={**tiny()["encoder"], **KINDS[kind]},
        regions={"kind": region, "views": views, "measure_images": 40},
        pool=[{"kind": "augment", "policy": "mild", "per_reference": 1}],
        classify={"arms": []},
    )


MARKS = {"python": ()}
"""Of kinds that are not left to demand."""


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=MARKS.get(kind, pytest.mark.long)) for kind in KINDS],
)
def test_regions_on_another_encoder(kind, ray_session, tmp_path):
    out = str(tmp_path / kind)
    for region in REGIONS[kind]:
        config = rayqc.make_config(settings_of(kind, region))
        found = rayqc.run(config, out, redo=region != REGIONS[kind][0])
        assert found["regions"]["kind"] == region
        assert found["ledger"]["read"] == 50
        assert found["ledger"]["outcomes"]["error"] == 0
    model = read_json(Folder(out), "model/model.json")
    assert model["kind"] == kind
    if kind == "python":
        assert "alteration" in found["regions"]["thresholds"]
        with pytest.raises(UntrustedCodeError, match="--trust tests.models.test_features:Means"):
            rayqc.fit(out, redo=True)
        assert Folder(out).exists("result.json"), "what was done is still there"
        with pytest.raises(UntrustedCodeError, match="names Python code to run"):
            rayqc.fit(out, trust="os:system", redo=True)
        assert rayqc.fit(out, trust=KINDS["python"]["target"])["kind"] == REGIONS[kind][0]
        shape = {**model["shape"], "source": "another"}
        write_json(Folder(out), "model/model.json", {**model, "shape": shape})
        with pytest.raises(ArtefactError, match="damaged or swapped"):
            rayqc.fit(out, redo=True, trust=KINDS["python"]["target"])


def test_what_an_encoder_needs_is_asked_for():
    with pytest.raises(ConfigError, match="kind: torchvision needs name and weights"):
        rayqc.make_config(tiny(encoder={"kind": "torchvision"}))
    with pytest.raises(ConfigError, match="kind: python needs target"):
        rayqc.make_config(tiny(encoder={"kind": "python"}))
    with pytest.raises(ConfigError, match="views must name one or more"):
        rayqc.make_config(tiny(regions={"views": []}))


def test_a_pool_without_kept_latents_is_encoded_in_pieces(ray_session, tmp_path, monkeypatch):
    """Many photographs are more bytes than a driver has."""
    monkeypatch.setattr(probe, "MOST_BYTES", 5_000)
    pieces, accuracies = [], []
    encode_images = probe.encode_images

    def counted(tables, *further):
        pieces.append((further[-1], sum(table.num_rows for table in tables)))
        return encode_images(tables, *further)

    monkeypatch.setattr(probe, "encode_images", counted)
    settings = {
        **settings_of("python", "calibrated"),
        "classify": {"kind": "probe", "seeds": 5, "arms": ["real", "all"]},
    }
    for kept in (True, False):
        small = {"unit_rows": 10, "shard_mb": 0.004, "keep_latents": kept}
        filtered = {**settings["filter"], **small}
        config = rayqc.make_config({**settings, "filter": filtered})
        found = rayqc.run(config, str(tmp_path / "out"), redo=not kept)
        accuracies.append(found["classify"]["arms"]["all"]["accuracy"]["mean"])
    of_pool = [count for name, count in pieces if name == "encode pool"]
    assert len(of_pool) > 2
    assert sum(of_pool) == 50
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.02)
