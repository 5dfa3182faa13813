"""`rayqc status --watch` ends once nobody is at work."""

import shutil
import threading
import time

from rayqc.cli.main import main
from rayqc.ledger.owner import own
from rayqc.storage import Folder


def test_it_ends_when_the_command_at_work_does(tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rayqc.cli.watch.SECONDS", 0.05)
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    began, ended = threading.Event(), threading.Event()

    def work():
        with own(Folder(str(folder))):
            began.set()
            time.sleep(0.5)
            ended.set()

    worker = threading.Thread(target=work)
    worker.start()
    began.wait()
    assert main(["status", str(folder), "--watch"]) == 0
    assert ended.is_set()
    worker.join()
    assert "classify: done" in capsys.readouterr().out
