# SPDX-License-Identifier: Apache-2.0
# kubernetes.py DIRECTORY OUT: what can be known of packaging/kubernetes without a cluster. Writes the configurations of the ConfigMap to OUT,
# and on standard output the command lines of its containers, for the programs themselves to judge.
import glob
import os
import sys

import yaml

where, out = sys.argv[1:]
objects = {}
for path in sorted(glob.glob(where + "/*.yaml")):
    for item in yaml.safe_load_all(open(path)):
        for member in ("apiVersion", "kind", "metadata"):
            assert member in item, f"{path}: no {member}"
        objects[item["kind"]] = item


def same(what, wanted, got):
    if wanted != got:
        sys.exit(f"{what}: wanted {wanted!r}, got {got!r}")


def mounts(container):
    return {mount["name"]: mount for mount in container["volumeMounts"]}


daemons, consumer = objects["DaemonSet"]["spec"], objects["Pod"]["spec"]
pod = daemons["template"]["spec"]
volumes = {volume["name"]: volume for volume in pod["volumes"]}
containers = {container["name"]: container for container in pod["containers"]}
everyone = pod["initContainers"] + pod["containers"]

same("namespace", {"sealedfs"}, {objects[kind]["metadata"]["namespace"] for kind in ("ServiceAccount", "ConfigMap", "DaemonSet")})
same("the namespace's own name", "sealedfs", objects["Namespace"]["metadata"]["name"])
same("labels", daemons["selector"]["matchLabels"], daemons["template"]["metadata"]["labels"])
same("service account", objects["ServiceAccount"]["metadata"]["name"], pod["serviceAccountName"])
same("nobody mounts a token", {False}, {spec["automountServiceAccountToken"] for spec in (objects["ServiceAccount"], pod, consumer)})
same("callers are seen by their process", True, pod["hostPID"])
same("the ConfigMap is the one", objects["ConfigMap"]["metadata"]["name"], volumes["config"]["configMap"]["name"])
for container in everyone:
    for name in mounts(container):
        assert name in volumes, f"{container['name']}: there is no volume {name}"
same("one image", 1, len({container["image"] for container in everyone}))

daemon, shown = containers["sealedfs"], mounts(containers["sealedfs"])["mounts"]
source, mountpoint = daemon["command"][-2:]
same("the mount leaves its container", "Bidirectional", shown["mountPropagation"])
same("which Kubernetes allows to privileged ones only", True, daemon["securityContext"]["privileged"])
same("the source is the Secret", source, mounts(daemon)["strings"]["mountPath"])
same("the mount is below the directory that is shared", shown["mountPath"], os.path.dirname(mountpoint))
same("and ready when it is there", mountpoint, daemon["readinessProbe"]["exec"]["command"][-1])
assert mountpoint in pod["initContainers"][0]["command"][-1], "the mount point is not made"
same("sockets are shared", 1, len({mounts(container)["sockets"]["mountPath"] for container in containers.values()}))

(volume,), (container,) = consumer["volumes"], consumer["containers"]
bound = mounts(container)[volume["name"]]
same("the consumer binds that directory of the node", volumes["mounts"]["hostPath"]["path"], volume["hostPath"]["path"])
same("follows what is mounted below it", "HostToContainer", bound["mountPropagation"])
same("read-only", True, bound["readOnly"])
same("without privilege", (["ALL"], False), (container["securityContext"]["capabilities"]["drop"], container["securityContext"]["allowPrivilegeEscalation"]))
same("its group is that of the files", pod["securityContext"]["fsGroup"], consumer["securityContext"]["runAsGroup"])
same("whose mode lets the group read, and no other", 0o440, volumes["strings"]["secret"]["defaultMode"])
wanted = os.path.join(bound["mountPath"], os.path.basename(mountpoint)) + "/"
assert wanted in container["command"][-1], f"the consumer opens nothing below {wanted}"

for name, text in objects["ConfigMap"]["data"].items():
    with open(f"{out}/{name}", "w") as file:
        file.write(text)
for container in containers.values():
    print(" ".join(container["command"]))
