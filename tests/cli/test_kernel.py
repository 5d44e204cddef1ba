"""``maple-layout kernel``, as a user sees it."""

import json

import pytest

from layout.ckernel import toolchain


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "small.trace"
    path.write_text("init 0\nstore 10 20 3001\nload 15\n")
    return path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["build", "--source", "nowhere"], "nowhere has no lib/maple_tree.c"),
        (["build", "--source", "x", "--deb", "y"], "give one of them"),
        (["build", "--deb", "linux-source-0.1"], "apt install linux-source-0.1"),
        (["run", "missing.trace"], "missing.trace: No such file"),
        (["run", "--arch", "vax", "-"], "unknown architecture 'vax'"),
    ],
)
def test_wrong_use_is_one_line(run, words, complaint):
    code, out, err = run("kernel", *words)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


def test_without_tools_the_command_that_installs_them_is_told(run, monkeypatch, tmp_path, trace):
    for name in ("lib/maple_tree.c", "include/linux/maple_tree.h"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("PATH", "")
    toolchain.find.cache_clear()
    for words in (["build"], ["build", "--arch", "s390x"], ["run", trace, "--arch", "s390x"]):
        code, out, err = run("kernel", *words, "--source", tmp_path)
        assert (code, out) == (2, "")
        assert "apt install --no-install-recommends gcc" in err
    toolchain.find.cache_clear()


@pytest.mark.kernel
def test_build_and_run(run, trace, kernel_6_12, built):
    built("s390x")
    code, out, _ = run("kernel", "build", "--arch", "s390x", "--json")
    [found] = json.loads(out)
    assert (code, found["arch"], found["cached"]) == (0, "s390x", True)
    assert found["sha256"] == kernel_6_12.sha256
    code, out, err = run("kernel", "run", trace, "--arch", "s390x")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, lines[2]) == (0, {"n": 3, "op": "load", "entry": "3001"})
    assert kernel_6_12.version in err
    assert kernel_6_12.sha256 in err


@pytest.mark.kernel
def test_a_fault_is_exit_code_1(run, tmp_path, built):
    built("x86_64")
    path = tmp_path / "bad.trace"
    path.write_text("init 0\nbulk ef ef 0 2 2 1001\nrcu on\ndestroy\n")
    code, out, err = run("kernel", "run", path)
    assert code == 1
    assert len(out.splitlines()) == 4
    assert "line 4: destroy: double free: kmem_cache_free of a free node" in err
