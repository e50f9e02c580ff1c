"""Where results go: pipes, devices, odd names, names that hold escape sequences; for every command that writes."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.runs import run

from lipsync_eval.cli import run as cli
from lipsync_eval.files import write_text
from lipsync_eval.results.schema import load_result

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")
NAME = '\x1b[31m*"[v]\r\n=x'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("outputs")
    for folder, name, shift in (("good", "good", 0.0), ("odd", NAME, 5.0)):
        (root / folder).mkdir()
        text = run(name, {"psnr": [30.0 - shift + i for i in range(10)]}).to_json()
        (root / folder / "results.json").write_text(text, "utf-8")
    (root / "mos.csv").write_text("id,method,mos\n" + "".join(f"c{i},good,{i}\n" for i in range(5)), "utf-8")
    return root


def shell(place: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line.replace("CMD", SCRIPT)], capture_output=True, text=True, cwd=place)


def on_terminal(place: Path, line: list[str]) -> str:
    """What a command shows on a terminal (both streams)."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen([SCRIPT, *line], cwd=place, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(mine, 1 << 16):
            shown += block
    except OSError as error:  # how Linux says that the other side has gone
        assert error.errno == errno.EIO
    process.wait()
    os.close(mine)
    return shown.decode("utf-8")


TABLES = [["table", "good", "odd", "--format", "csv"], ["export", "odd", "--to", "csv"]]


@pytest.mark.parametrize("line", TABLES)
def test_names_on_a_pipe_read_back(place: Path, line: list[str]) -> None:
    done = subprocess.run([SCRIPT, *line], cwd=place, capture_output=True, check=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8"), newline="")))
    assert rows[-1]["method" if line[0] == "table" else "checkpoint"] == NAME


@pytest.mark.parametrize("line", [*TABLES, ["table", "odd"], ["table", "odd", "--format", "latex"]])
def test_names_on_a_terminal_cannot_drive_it(place: Path, line: list[str]) -> None:
    shown = on_terminal(place, line)
    assert "PSNR" in shown.upper() and "x1b" in shown
    assert "\x1b[31m" not in shown


def test_an_error_on_a_terminal_cannot_drive_it_wherever_it_comes_from(place: Path) -> None:
    shown = on_terminal(place, ["table", "\x1b[31m"]) + on_terminal(place, ["scor\x1b[31m"])
    assert "\x1b" not in shown and shown.count("\\x1b[31m") >= 2


def test_a_pipe_is_written_into_and_not_replaced(place: Path, tmp_path: Path) -> None:
    for line in (["table", "good"], ["export", "good", "--to", "csv", "--overwrite"]):
        pipe = tmp_path / line[0]
        os.mkfifo(pipe)
        read: list[str] = []
        reader = threading.Thread(target=lambda p=pipe, r=read: r.append(p.read_text("utf-8")))
        reader.start()
        subprocess.run([SCRIPT, *line, "--out", str(pipe)], cwd=place, check=True, capture_output=True)
        reader.join(20)
        assert "psnr" in read[0].lower() and pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_devices_are_written_into_and_not_replaced(place: Path, tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    done = subprocess.run(
        [SCRIPT, "table", "good", "--out", str(tmp_path / "full")], cwd=place, capture_output=True, text=True
    )
    assert done.returncode == 2 and "No space left on device" in done.stderr
    assert (tmp_path / "full").is_symlink()
    with pytest.raises(OSError, match="No space left"):
        write_text(Path("/dev/full"), "x")
    assert Path("/dev/full").is_char_device()
    done = subprocess.run([SCRIPT, "table", "good", "--out", "/dev/stdout"], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0 and "PSNR" in done.stdout


COMMANDS = {
    "plot": "plot good --out OUT",
    "figure": "figure good --clip c0 --view frame --at 0 --out OUT",
    "table": "table good --out OUT",
    "correlate": "correlate mos.csv good --out OUT",
    "agreement": "correlate mos.csv good --plot OUT",
    "export": "export good --to csv --out OUT",
    "gate": "gate good --baseline good --json OUT",
    "baseline": "gate good --update OUT",
    "report": "report good --out OUT --no-media",
    "study": "study good --out OUT",
    "diagnose": "diagnose mos.csv --out OUT",
    "sensitivity": "sensitivity mos.csv --out OUT",
    "score": "score mos.csv mos.csv --out OUT",
    "merge": "merge good --out OUT",
    "demo": "demo OUT",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("out", ["x" * 300, "mos.csv/x", "/proc/no/such", "."])
def test_a_name_that_cannot_be_written_is_told(
    place: Path, command: str, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    code = cli([word.replace("OUT", out) for word in COMMANDS[command].split()])
    said = capsys.readouterr().err
    made = out == "." and code in (0, 3)
    assert made or (code in (2, 3) and "rror: " in said), said
    assert "Traceback" not in said and ".tmp" not in said


def test_a_folder_whose_name_is_no_utf_8(place: Path) -> None:
    for line in ("plot good --out OUT", "gate good --update OUT", "table good --out OUT"):
        done = subprocess.run([SCRIPT, *line.replace("OUT", "\udcff/x").split()], cwd=place, capture_output=True)
        assert done.returncode in (0, 2) and b"Traceback" not in done.stderr


def test_a_log_file_on_a_full_disk_is_told_once(place: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "log").symlink_to("/dev/full")
    done = shell(place, f"CMD --log-file {tmp_path / 'log'} --log-level debug table nothing")
    assert done.returncode == 2
    assert done.stderr.count("cannot be written (No space left on device)") == 1, done.stderr
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr


def test_a_number_beyond_any_measurement_is_no_result(place: Path, tmp_path: Path) -> None:
    data = json.loads((place / "good" / "results.json").read_text("utf-8"))
    data["clips"][0]["values"]["psnr"] = 1e308
    (tmp_path / "results.json").write_text(json.dumps(data), "utf-8")
    done = shell(place, f"CMD gate {tmp_path} --baseline good")
    assert done.returncode != 70 and "clips.0.values.psnr" in done.stderr


def test_an_interval_that_does_not_hold_its_value_is_drawn(place: Path, tmp_path: Path) -> None:
    data = json.loads((place / "good" / "results.json").read_text("utf-8"))
    data["scores"][0]["value"] = 0.0
    (tmp_path / "results.json").write_text(json.dumps(data), "utf-8")
    assert load_result(tmp_path).scores[0].ci is not None
    assert shell(place, f"CMD plot {tmp_path} --out {tmp_path / 'p'}").returncode == 0


REPLACED = {
    "table": ("table good --out OUT", "old table"),
    "json": ("gate good --baseline good --json OUT", '{"passed": true, "rows": [], "baseline_name": "b"}'),
    "junit": ("gate good --baseline good --junit OUT", "<testsuite/>"),
    "markdown": ("gate good --baseline good --markdown OUT", "# old"),
    "update": ("gate good --update OUT", '{"run": {"command": []}, "scores": []}'),
}


@pytest.mark.parametrize("command", REPLACED)
def test_what_is_made_again_at_little_cost_is_replaced_and_nothing_else(
    place: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    line, old = REPLACED[command]
    out = tmp_path / "out"
    for before in (None, "", old, "again"):  # "again": what the command itself wrote
        if before not in (None, "again"):
            out.write_text(before, "utf-8")
        assert cli([word.replace("OUT", str(out)) for word in line.split()]) == 0, capsys.readouterr().err
        assert out.read_text("utf-8") not in ("", old)
    run = tmp_path / "mine.json"
    run.write_bytes((place / "good" / "results.json").read_bytes())
    for name, data in (
        ("clip.mp4", b"\x00\x00\x00\x18ftypmp42"),
        ("sheet.png", b"\x89PNG\r\n\x1a\n\x00"),
        ("mine.json", run.read_bytes()),
        ("odd", b"\xff\xfe"),
    ):
        (tmp_path / name).write_bytes(data)
        assert cli([word.replace("OUT", str(tmp_path / name)) for word in line.split()]) == 2, name
        assert "is there already and is not replaced: it is no file that this option writes" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == data
    kept = (place / "good" / "results.json").read_bytes()
    assert cli([word.replace("OUT", "good/results.json") for word in line.split()]) == 2
    assert "it belongs to a run" in capsys.readouterr().err
    assert cli([word.replace("OUT", str(tmp_path)) for word in line.split()]) == 2
    assert "is a folder; name a file" in capsys.readouterr().err
    assert (place / "good" / "results.json").read_bytes() == kept


def test_two_options_do_not_name_one_file(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x")
    assert cli(["gate", str(place / "good"), "--baseline", str(place / "good"), "--json", out, "--markdown", out]) == 2
    assert "--json and --markdown both name" in capsys.readouterr().err and not Path(out).exists()


def test_a_contact_sheet_replaces_no_frame_of_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of images is a video; it is refused before anything is scored."""
    for side in ("gen", "gt"):
        (tmp_path / side / "a").mkdir(parents=True)
        (tmp_path / side / "a" / "000001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    sheet = tmp_path / "gen" / "a" / "000001.png"
    line = ["score", str(tmp_path / "gen"), str(tmp_path / "gt"), "--contact-sheet", str(sheet)]
    assert cli([*line, "--out", str(tmp_path / "run")]) == 2
    assert "what the command reads" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_kinds_of_files(place: Path) -> None:
    from lipsync_eval.cli.output_files import baseline, check_output, codes, constants, encoder

    assert codes(b'[{"clip": "a"}]') and not codes(b'{"run": {}}')
    assert constants(b'{"code_mean": [], "code_std": []}') and not constants(b"{}") and not encoder(b"PK")
    assert not baseline((place / "good" / "results.json").read_bytes()), "a run's own results hold its command line"
    check_output(None, "--out", baseline)
