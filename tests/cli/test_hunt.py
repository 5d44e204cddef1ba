"""``maple-layout hunt``, as a user sees it."""

import json
import xml.etree.ElementTree as ET

import pytest

from layout.ckernel.oracle import Campaign
from layout.cli.hunt import _line, _Shown
from layout.cli.kernel.progress import Progress
from layout.hunt import hunt
from layout.hunt.guided import Status


@pytest.fixture
def without_clang(monkeypatch):
    monkeypatch.setattr(hunt, "guide", lambda: "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--jobs", "0"], "--jobs"),
        (["--jobs", "99999"], "--jobs: 99999 are too many processes: 1 to 1024"),
        (["--seed", str(1 << 64)], "--seed: 18446744073709551616 has more than 64 bits"),
        (["--traces", "5"], "unrecognized arguments: --traces 5"),
        (["--arch", "vax"], "unknown architecture 'vax'"),
        (["--source", "nowhere"], "nowhere has no lib/maple_tree.c"),
        (["--deb", "linux-source-0.1"], "apt install linux-source-0.1"),
    ],
)
def test_wrong_use_is_one_line(run, words, complaint):
    code, out, err = run("hunt", *words)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.kernel
@pytest.mark.usefixtures("without_clang")
def test_without_clang_the_emulator_guides(run, built, tmp_path):
    built("x86_64")
    folder = tmp_path / "corpus"
    words = ["hunt", "--arch", "x86_64", "--corpus", folder, "--time", "1"]
    code, out, err = run(*words, "--json")
    found = json.loads(out)
    assert (code, found["equal"], found["differences"]) == (0, True, [])
    assert (found["guide"], found["corpus"]["before"]) == ("emulator", 0)
    assert "clang with libFuzzer is missing, so the emulator guides the search: apt install" in err
    assert found["corpus"]["traces"] == len(list(folder.glob("*.trace"))) > 0
    assert found["compared"] == {"x86_64": found["corpus"]["traces"]}
    assert 0.3 < found["coverage"]["executed"] / found["coverage"]["lines"] < 1
    assert found["search"][-1]["edges"] >= found["search"][0]["edges"]
    code, out, _ = run(*words, "--time", "0")
    assert code == 0
    assert f"({found['corpus']['traces']} before)" in out  # it went on from there
    assert out.endswith("no difference\n")
    (folder / "bad.trace").write_text("stor 1 2\n")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "bad.trace: line 1: unknown operation 'stor'" in err


@pytest.mark.kernel
@pytest.mark.usefixtures("without_clang")
def test_differences_are_findings(run, changed_6_12, built, tmp_path):
    built("x86_64")
    built("s390x")
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "one.trace").write_text("init 0\nstore 10 20 3001\nload 10\n")
    words = ["hunt", "--arch", "x86_64,s390x", "--corpus", folder, "--time", "0"]
    files = tmp_path / "f.xml", tmp_path / "f.sarif"
    code, out, _ = run(
        *words, "--source", changed_6_12.root, "--junit", files[0], "--sarif", files[1]
    )
    assert code == 1
    assert "meta.end, mas_root_expand: 2 traces on s390x, x86_64\n" in out
    [path] = (folder / "differences").glob("store-*.trace")
    assert path.read_text().endswith("store 10 20 3001\n")
    [failure] = ET.fromstring(files[0].read_bytes()).findall(".//failure")
    [result] = json.loads(files[1].read_bytes())["runs"][0]["results"]
    assert result["ruleId"] == "hunt"
    assert failure.get("message") in result["message"]["text"]


@pytest.mark.kernel
@pytest.mark.usefixtures("without_clang")
def test_a_report_of_the_access_checker_is_a_finding(run, built, tmp_path, monkeypatch):
    built("x86_64")
    folder = tmp_path / "corpus"
    folder.mkdir()
    from layout.defects import operations
    from layout.hunt import observe

    monkeypatch.setattr(observe, "FreesAllItKilled", operations(["R1"])[0])
    (folder / "one.trace").write_text(
        "init 0\n"
        + "".join(f"store {i:x} {i + 0xFFF:x} 1001\n" for i in range(0x10000, 0x1E000, 0x2000))
        + "cset 100000 100fff\ncfind 100fff\ncnext ffffffffffffffff\n"
    )
    code, out, _ = run("hunt", "--arch", "x86_64", "--corpus", folder, "--time", "0")
    assert code == 1
    assert "metadata read as slot: mas_next_nentry as slot[15]: 1 traces, such as " in out


def test_the_display_begins_anew_with_the_comparison(capsys):
    progress = Progress(_line)
    for seconds, runs in ((1, 100), (5, 200), (20, 3000)):
        progress(_Shown(Status(seconds, runs, 50, 70, 9, workers=2, dashboard="http://there")))
    for seconds, traces in ((0.5, 1), (3, 2), (11, 9)):
        progress(Campaign(0, 0, traces=traces, seconds=seconds))
    assert capsys.readouterr().err.splitlines() == [
        "1 s: 100 traces tried, 100 a second, 50 edges executed, 9 traces kept; 2 workers",
        "20 s: 3000 traces tried, 150 a second, 50 edges executed, 9 traces kept; 2 workers",
        "0 s: 1 traces compared, 0 operations, 0 causes of difference",
        "11 s: 9 traces compared, 0 operations, 0 causes of difference",
    ]


def test_an_interrupted_campaign_tells_where_its_findings_are(capsys):
    progress = Progress(_line)

    def campaign():
        with progress.kept_in("there"):
            progress(Campaign(0, 0, traces=1, seconds=0.5))
            progress(Campaign(0, 0, traces=5, seconds=2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign()
    assert capsys.readouterr().err.splitlines() == [
        "0 s: 1 traces compared, 0 operations, 0 causes of difference",
        "interrupted: 2 s: 5 traces compared, 0 operations, 0 causes of difference",
        "what was found is in there; the same command goes on from there",
    ]


def test_the_display_names_the_dashboard_once(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress(_line)
    progress(_Shown(Status(1, 100, 50, 70, 9, workers=1, dashboard="http://there")))
    progress(Campaign(0, 0, traces=1, seconds=0.5, dashboard="http://there"))
    out, err = capsys.readouterr()
    assert (out, err.count("dashboard: http://there\n")) == ("", 1)
    assert "9 traces kept; 1 worker " in err
