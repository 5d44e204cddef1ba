"""The rules of the campaign of mutations fit the kernel that they are made for."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mutations import MUTATIONS, OF_6_12

pytestmark = [pytest.mark.kernel, pytest.mark.long]


@pytest.mark.parametrize("version", MUTATIONS)
def test_every_rule_changes_one_line(kernel, version):
    code, rules = kernel(version).code.read_text(), MUTATIONS[version]
    assert len({mutation.name for mutation in rules}) == len(rules) >= 20
    for mutation in rules:
        before, after = code.splitlines(), mutation.apply(code).splitlines()
        assert len(before) == len(after)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, mutation.name


def test_a_rule_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="end-not-written: ma_set_meta has no "):
        OF_6_12[0].apply("static void ma_set_meta(int a)\n{\n\treturn;\n}\n")
    with pytest.raises(ValueError, match="there is no function ma_set_meta"):
        OF_6_12[0].apply("")
