"""What the tests of drawings share."""

import pytest

from layout.traces.inputs import load


@pytest.fixture
def run_trace(tmp_path):
    """The image at the end of a trace."""

    def image(text, **options):
        path = tmp_path / "some.trace"
        path.write_text(text)
        return load(str(path), **options)

    return image
