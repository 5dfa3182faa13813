"""Regions on other encoders than the VAE, through train, fit and filter."""

import pytest

import rayqc
from rayqc.errors import ArtefactError, ConfigError, UntrustedCodeError
from rayqc.storage import Folder, read_json, write_json
from tests.conftest import tiny

KINDS = {
    "supervised": {"kind": "supervised", "width": 0.02, "steps": 20},
    "contrastive": {"kind": "contrastive", "width": 0.02, "steps": 10},
    "python": {"kind": "python", "target": "tests.models.test_features:Means"},
}


@pytest.mark.parametrize("region", ["sphere_loo", "calibrated"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_region_on_another_encoder(kind, region, ray_session, tmp_path):
    if (kind, region) in (("contrastive", "calibrated"), ("python", "sphere_loo")):
        pytest.skip("as supervised")
    encoder = {**tiny()["encoder"], **KINDS[kind]}
    settings = tiny(
        encoder=encoder,
        regions={"kind": region, "views": ["edges"], "measure_images": 40},
        pool=[{"kind": "augment", "policy": "mild", "per_reference": 1}],
        classify={"arms": []},
    )
    if region == "calibrated" and kind == "python":
        settings["regions"]["views"] = ["edges", "latent"]
    out = str(tmp_path / kind)
    found = rayqc.run(rayqc.make_config(settings), out)
    assert found["ledger"]["read"] == 50
    assert found["ledger"]["outcomes"]["error"] == 0
    model = read_json(Folder(out), "model/model.json")
    assert model["kind"] == kind
    if kind == "python":
        with pytest.raises(UntrustedCodeError, match="--trust tests.models.test_features:Means"):
            rayqc.fit(out, redo=True)
        with pytest.raises(UntrustedCodeError, match="names Python code to run"):
            rayqc.fit(out, trust="os:system")
        assert rayqc.fit(out, trust=KINDS["python"]["target"])["kind"] == region
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
