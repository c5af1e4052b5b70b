# SPDX-License-Identifier: Apache-2.0
# An OCI runtime configuration on standard output: containers.py ROOTFS CGROUP-NAME UID SOURCE:TARGET… -- COMMAND…
# What a pod without privilege has: its own user, namespaces, no capability, mounts bound read-only that follow the host's (rslave).
import json
import sys

rootfs, name, uid = sys.argv[1:4]
split = sys.argv.index("--")
binds, command = sys.argv[4:split], sys.argv[split + 1:]
mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
          {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
          {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", "size=1m"]}]
for bind in binds:
    source, target = bind.split(":")
    mounts.append({"destination": target, "type": "bind", "source": source, "options": ["rbind", "ro", "rslave", "nosuid", "nodev"]})
none = {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")}
print(json.dumps({
    "ociVersion": "1.0.0",
    "process": {"user": {"uid": int(uid), "gid": int(uid)}, "args": command, "env": ["PATH=/bin"], "cwd": "/", "capabilities": none,
                "noNewPrivileges": True},
    "root": {"path": rootfs, "readonly": True},
    "hostname": name,
    "mounts": mounts,
    "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
              "rootfsPropagation": "rslave"},
}))
