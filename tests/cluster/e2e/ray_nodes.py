"""Starts a Ray cluster of many nodes on this host, in the Python of an environment; a child of ``ray_lab`` runs it.

Its argument is a JSON object: ``names`` of the nodes, and ``variables`` of some of them by name. It prints the address,
then does what lines of its input say (``kill NAME``), and ends with its input.
"""

import json
import sys

from ray.cluster_utils import Cluster

_EACH = {"num_cpus": 1, "object_store_memory": 80 << 20}


def main():
    asked = json.loads(sys.argv[1])
    cluster = Cluster()
    nodes = {}
    for name in asked["names"]:
        more = {} if nodes else {"include_dashboard": False}
        nodes[name] = cluster.add_node(
            wait=False, node_name=name, env_vars=asked["variables"].get(name, {}), **_EACH, **more
        )
    cluster.wait_for_nodes(timeout=300)
    print("READY", cluster.address, flush=True)
    for line in sys.stdin:
        cluster.remove_node(nodes.pop(line.split()[1]), allow_graceful=False)
        print("KILLED", flush=True)
    cluster.shutdown()


main()
