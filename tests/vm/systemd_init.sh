#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# /init of the guest with systemd: modules and network, which udev and networkd would see to, then a root that can be pivoted, and systemd on it.
export PATH=/usr/bin:/usr/sbin
/usr/bin/busybox --install -s /usr/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do insmod "$module"; done </modules/order
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
chgrp tss /dev/tpmrm0
chmod 0660 /dev/tpmrm0
mkdir /new
mount -t tmpfs -o mode=755 root /new
for entry in bin sbin lib lib64 usr etc var srv mnt root; do cp -a "/$entry" /new/; done
mkdir -p /new/proc /new/sys /new/dev /new/run /new/tmp
umount /proc
mount --move /dev /new/dev
exec switch_root /new /usr/lib/systemd/systemd
