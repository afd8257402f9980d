"""The flow as a worker takes it: sent to another process, and refused there as it would be here."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.conftest import REPOSITORY

SENDER = textwrap.dedent(
    """
    import sys
    import cloudpickle
    import flows.retrain
    cloudpickle.register_pickle_by_value(flows.retrain)  # what a served deployment does
    open(sys.argv[1], "wb").write(cloudpickle.dumps(flows.retrain.retrain))
    """
)
RECEIVER = textwrap.dedent(
    """
    import sys
    import cloudpickle
    flow = cloudpickle.loads(open(sys.argv[1], "rb").read())
    assert "flows.retrain" not in sys.modules
    print(flow.validate_parameters({"stages": ["compare"], "until": "now"}))
    """
)


def test_the_flow_can_be_sent_to_a_workers_process(tmp_path):
    for program in (SENDER, RECEIVER):
        command = [sys.executable, "-c", program, str(tmp_path / "flow")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "compare" in done.stdout


def test_the_form_in_the_dashboard_names_the_stages():
    program = "from flows.retrain import retrain; print(retrain.parameters.properties['stages'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert "features@topology" in done.stdout
