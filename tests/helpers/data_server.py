"""What TensorBoard's data server, its reader by default, serves of a folder."""

import os
import re
import subprocess

import grpc
from tensorboard.context import RequestContext
from tensorboard.data.grpc_provider import GrpcDataProvider, make_stub
from tensorboard_data_server import server_binary


def served(folder):
    """Return {run: {tag: [(step, value)]}}, nothing sampled away."""
    command = [server_binary(), "--logdir", folder, "--port", "0", "--reload", "once"]
    environment = os.environ | {"RUST_LOG": "rustboard_core=info", "LD_PRELOAD": ""}
    with subprocess.Popen(
        [*command, "--samples-per-plugin", "scalars=all"],
        stderr=subprocess.PIPE,
        env=environment,
        encoding="utf-8",
    ) as server:
        try:
            log = ""
            while "Finished load cycle" not in log:
                log += next(server.stderr)
            address = re.search(r"listening on (\S+)", log)[1].replace("0.0.0.0", "localhost")
            with grpc.insecure_channel(address) as channel:
                runs = GrpcDataProvider(address, make_stub(channel)).read_scalars(
                    RequestContext(), experiment_id="", plugin_name="scalars", downsample=10**6
                )
        finally:
            server.kill()
    return {
        run: {tag: [(point.step, point.value) for point in series] for tag, series in tags.items()}
        for run, tags in runs.items()
    }
