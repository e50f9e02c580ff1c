import pytest
from support.avhubert_expert import expert_run, face, write


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Two entries of different length."""
    folder = tmp_path_factory.mktemp("expert-data")
    write(folder, [face("a", 30), face("b", 22)])
    return folder


@pytest.fixture(scope="session")
def expert(tmp_path_factory):
    """A run of `train-expert`, narrow."""
    return expert_run(tmp_path_factory.mktemp("expert-run"))
