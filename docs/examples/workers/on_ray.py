"""Start `superloop` on the machines of a Ray cluster, a worker of one run on each.

It needs Ray (`pip install ray`), and superloop on every machine:

    python on_ray.py 2 train copy.toml --out runs/copy --resume
"""

import json
import os
import socket
import subprocess
import sys

import ray


@ray.remote(num_cpus=1)
class Worker:
    """A worker; give it `num_gpus=1` where it is to have a GPU."""

    def address(self):
        """Return an address of this machine, with a port that is free."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def run(self, addresses, index, arguments):
        """Run the command as one of the workers; return its exit status."""
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(task)}
        return subprocess.run(["superloop", *arguments], env=environment).returncode


count, arguments = int(sys.argv[1]), sys.argv[2:]
ray.init()
workers = [Worker.options(scheduling_strategy="SPREAD").remote() for _ in range(count)]
addresses = ray.get([worker.address.remote() for worker in workers])
done = ray.get([worker.run.remote(addresses, index, arguments) for index, worker in enumerate(workers)])
sys.exit(any(done))
