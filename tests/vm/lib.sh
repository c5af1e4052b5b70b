# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# A guest of its own kernel for tests: Debian's, in qemu without any help of the host's processor, with a software TPM as its TPM and
# our programs in an initramfs. Sourced after it/lib.sh.
#
#     vm_kernel                       Debian's cloud kernel, unpacked below the build directory: VM_KERNEL, VM_MODULES
#     vm_image OUT DIR                initramfs: programs, libraries, modules, guest.sh as /init, and what is in DIR
#     vm_boot NAME INITRD PORT WORDS  boots with WORDS on the command line; 10.0.2.100:8443 of the guest is PORT of this loopback
#
# The guest sees nothing else of the network. It says how it went by its exit status (probe.c); the console is $DIR/NAME.log.

VM_CACHE=$BIN/../vm
# In the order in which they must be loaded; one that is not there is built into this kernel.
VM_MODULES_WANTED="virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net fuse"
VM_PASSED=33 # isa-debug-exit makes (2 * 16 + 1) of 16
VM_SECONDS=600 # of one boot, all in all; 15 on a machine at rest

vm_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p'; }
vm_download() { rm -f ./*.deb && apt-get download -qq -o Acquire::Retries=5 "$(vm_package)"; }
vm_fetch_kernel() ( # nothing is installed: no initramfs is made here, and nothing comes into /boot
    cd "$VM_CACHE" && { vm_download || { apt-get update -qq -o Acquire::Retries=5 && vm_download; }; } &&
        rm -rf unpacking && dpkg-deb -x ./*.deb unpacking && rm ./*.deb && mv unpacking kernel
)
vm_kernel() {
    mkdir -p "$VM_CACHE"
    (
        flock 9
        [ -d "$VM_CACHE/kernel" ] || vm_fetch_kernel
    ) >"$DIR/kernel.log" 2>&1 9>"$VM_CACHE/lock" || skip "needs the Debian package linux-image-cloud-amd64, which cannot be downloaded"
    VM_KERNEL=$(echo "$VM_CACHE"/kernel/boot/vmlinuz-*)
    VM_MODULES=$(echo "$VM_CACHE"/kernel/lib/modules/*)
}

vm_add() { # ROOT FILE…: programs or libraries, each with the libraries that it needs
    local root=$1 file; shift
    for file; do
        { echo "$file"; ldd "$file" | awk '/=> \// { print $3 } /^\t\/lib/ { print $1 }'; } | sort -u |
            while read -r lib; do
                case $lib in /usr/*) ;; *) lib=/usr$lib ;; esac
                case $lib in *.so*) ;; *) continue ;; esac
                [ -e "$root$lib" ] || cp -L "$lib" "$root$lib"
            done
    done
}
vm_root() { # in $DIR/root: programs, libraries, modules and users
    local root=$DIR/root name file
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib/x86_64-linux-gnu,usr/lib64,etc,proc,sys,dev,tmp,run,root,modules,sealed}
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
    cp "$BIN"/{sealed,sealedfs,sealed-attestd} "$TESTBIN"/{vm_probe,test_secret,test_secret_process} "$(command -v tpm2)" "$(command -v dash)" "$(command -v busybox)" "$root/usr/bin/"
    ln -s dash "$root/usr/bin/sh"
    # The loader of TCTIs and the C library open these by name.
    vm_add "$root" "$root"/usr/bin/{sealed,sealedfs,sealed-attestd,vm_probe,test_secret,tpm2,dash} \
        /usr/lib/x86_64-linux-gnu/{libtss2-tcti-device.so.0,libgcc_s.so.1}
    find "$root/usr" -type f -perm /100 -exec strip --strip-unneeded {} + 2>/dev/null || true
    for name in $VM_MODULES_WANTED; do
        file=$(find "$VM_MODULES" -name "$name.ko*")
        case $file in
        *.xz) xz -dc "$file" >"$root/modules/$name" ;;
        ?*) cp "$file" "$root/modules/$name" ;;
        *) continue ;;
        esac
        echo "/modules/$name" >>"$root/modules/order"
    done
    printf '%s\n' root:x:0:0::/root:/bin/sh sealedfs:x:901:901::/:/bin/false sealed-attest:x:902:902::/:/bin/false >"$root/etc/passwd"
    printf '%s\n' root:x:0: sealedfs:x:901: sealed-attest:x:902: tss:x:903:sealed-attest >"$root/etc/group"
}
vm_pack() { # OUT: the initramfs of $DIR/root
    (cd "$DIR/root" && find . | busybox cpio -o -H newc -R 0:0) >"$1" 2>"$DIR/cpio.log"
}
vm_image() {
    local out=$1 files=$2
    vm_root
    install -m 0755 "$VM_HERE/guest.sh" "$DIR/root/init"
    cp -R "$files"/. "$DIR/root/"
    vm_pack "$out"
}

# In place of it/lib.sh's: a TPM that only the virtual machine talks to, and that ends with it.
run_swtpm() {
    [ -z "${PID_tpm:-}" ] || wait_for 10 "the TPM of the last boot to end" gone "$PID_tpm"
    rm -f "$TPM_SOCK"
    spawn "$1" swtpm socket --tpm2 --tpmstate "dir=$DIR/$1.state" --ctrl "type=unixio,path=$TPM_SOCK" --terminate
    wait_for 10 "the TPM's socket" listening "$TPM_SOCK"
}

vm_boot() {
    local name=$1 initrd=$2 port=$3 words=$4 status=0
    spawn "$name" timeout -k 5 "$VM_SECONDS" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
        -machine q35 -accel tcg,thread=multi -cpu max,la57=off -smp 1 -m 384 \
        -kernel "$VM_KERNEL" -initrd "$initrd" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr cryptomgr.notests no_timer_check tsc=reliable $words" \
        -serial stdio -monitor none -device isa-debug-exit,iobase=0x501,iosize=0x02 \
        -netdev "user,id=n0,restrict=on,ipv6=off,guestfwd=tcp:10.0.2.100:8443-cmd:busybox nc 127.0.0.1 $port" \
        -device virtio-net-pci,netdev=n0,romfile= \
        -chardev "socket,id=t0,path=$TPM_SOCK" -tpmdev emulator,id=tpm0,chardev=t0 -device tpm-crb,tpmdev=tpm0 </dev/null
    local var="PID_$name"
    wait "${!var}" || status=$?
    tr -d '\r' <"$DIR/$name.log" | grep -a '^@ ' || true
    case $status in
    "$VM_PASSED") pass "the guest $name is content" ;;
    124 | 137) die "the guest $name did not end within $VM_SECONDS s" ;;
    *) die "the guest $name ended with status $status" ;;
    esac
}
