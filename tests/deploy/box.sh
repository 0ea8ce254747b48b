# Boots a systemd on a copy of this machine's files. Run by box.py, as: bash box.sh STAGE [INSIDE=OUTSIDE…]
#
# Says "init PID" when systemd is about to start, and "forbidden: WHY" where the kernel does not let us. Whatever
# is mounted here is seen by nobody else, and gone with the last process in here.

forbidden() { echo "forbidden: $1"; exit 1; }

# In namespaces of mounts and, later, processes: what ends is ended with all that came of it.
world() {
    base=/mnt  # exists wherever Debian does, and is covered for us alone
    mount -t tmpfs -o mode=755 box $base 2>/dev/null || forbidden "nothing can be mounted"
    mkdir $base/upper $base/work $base/root $base/cgroup
    mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" box $base/root 2>/dev/null ||
        forbidden "there is no overlay of /"
    mount -t cgroup2 box $base/cgroup 2>/dev/null || forbidden "there is no cgroup2"
    group=$base/cgroup/mikroroom-box-$$
    mkdir "$group" 2>/dev/null || forbidden "no cgroup can be made"

    submounts $base/root
    for pair in "$@"; do
        mkdir -p "$base/root${pair%%=*}"
        mount --bind "${pair#*=}" "$base/root${pair%%=*}"
        mount -o remount,bind,ro "$base/root${pair%%=*}"
    done

    unshare --pid --fork --kill-child --uts --ipc bash "$0" enter "$group" </dev/null &
    child=$!
    cat >/dev/null  # until whoever started us closes the line, or is no more
    kill -KILL $child 2>/dev/null
    wait $child 2>/dev/null
    for _ in $(seq 100); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && return
        sleep 0.05
    done
}

# What is mounted below / has to be copied as well.
submounts() {
    while read -r _ _ _ _ where _; do
        case $where in / | /mnt* | /proc* | /sys* | /dev* | /run* | /tmp*) continue ;; esac
        [ -d "$where" ] || continue
        changes=$base/changes/$((++count))
        mkdir -p "$changes/upper" "$changes/work"
        mount -t overlay -o "lowerdir=$where,upperdir=$changes/upper,workdir=$changes/work" box "$1$where" 2>/dev/null
    done </proc/self/mountinfo
}

# Process 1 of its namespace. Here /proc still has the numbers that others know it by.
enter() {
    read -r pid _ </proc/self/stat
    echo 0 >"$1/cgroup.procs" || forbidden "no process can be put into a cgroup"
    exec unshare --cgroup --mount bash "$0" boot "$pid"
}

boot() {
    root=/mnt/root
    # What a container is: the kernel's own settings are not for it to change.
    mount -t proc proc $root/proc
    mount --bind $root/proc/sys $root/proc/sys
    mount -o remount,bind,ro $root/proc/sys
    mount -t sysfs sysfs $root/sys
    mount -t cgroup2 cgroup2 $root/sys/fs/cgroup || forbidden "there is no cgroup namespace"
    mount -o remount,bind,ro $root/sys
    mount -t tmpfs -o mode=755 dev $root/dev
    for node in null zero full random urandom tty; do
        touch $root/dev/$node
        mount --bind /dev/$node $root/dev/$node
    done
    mkdir $root/dev/pts $root/dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $root/dev/pts
    ln -s pts/ptmx $root/dev/ptmx
    ln -s /proc/self/fd $root/dev/fd
    ln -s fd/0 $root/dev/stdin
    ln -s fd/1 $root/dev/stdout
    ln -s fd/2 $root/dev/stderr
    mount -t tmpfs -o mode=1777 shm $root/dev/shm
    mount -t tmpfs -o mode=755 run $root/run
    mount -t tmpfs -o mode=1777 tmp $root/tmp

    names=$(cat /etc/resolv.conf)  # may be a link to what is in /run
    rm -f $root/etc/resolv.conf
    echo "$names" >$root/etc/resolv.conf
    # Somebody else, who has been started before, mounts nothing, and does nothing by the clock.
    tr -d - </proc/sys/kernel/random/uuid >$root/etc/machine-id
    : >$root/etc/fstab
    rm -rf $root/etc/systemd/system/timers.target.wants $root/var/log/journal
    ln -sf /dev/null $root/etc/systemd/system/systemd-journald-audit.socket

    cd $root
    mkdir -p .old
    pivot_root . .old
    umount -l /.old
    rmdir /.old
    # As on a machine, where systemd does that itself: credentials come to a service by it.
    mount --make-rshared /
    echo "init $1"
    # Without what would reach the kernel that it shares with everybody.
    exec env -i container=box PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set -sys_module,-sys_time,-sys_boot,-audit_control,-audit_read \
        /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no
}

stage=$1
shift
case $stage in
    world) world "$@" ;;
    enter) enter "$@" ;;
    boot) boot "$@" ;;
esac
