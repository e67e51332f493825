#!/bin/sh
# Runs systemd as process 1 of name spaces of its own, with the unit of contrib/ as it is: its paths are made here, in
# mounts that nobody else sees. Usage: boot.sh UNITS WORK BASE_PREFIX SITE_PACKAGES SOURCE
# Nothing of the machine is started or changed: the only units are those in UNITS, and there are no generators.
set -e
units=$1 work=$2 base=$3 site=$4 source=$5

mount --make-rprivate /
mount -t proc proc /proc

# Control groups: whichever of the two kinds the kernel has.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  umount -l /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
else
  umount -l /sys/fs/cgroup/* 2>/dev/null || true
  umount -l /sys/fs/cgroup
  mount -t tmpfs none /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd
fi

# /etc with the user and the configuration of the unit, over the machine's own.
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/scratch
mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/scratch /etc
grep -q '^app:' /etc/passwd || echo 'app:x:990:990::/nonexistent:/bin/sh' >> /etc/passwd
grep -q '^app:' /etc/group || echo 'app:x:990:' >> /etc/group
cp "$work/litestream.yml" /etc/litestream.yml

# Another user's folders are hidden from the unit, so the program and its Python lie in /opt, as they should.
mount -t tmpfs -o mode=755 none /opt
mkdir -p /opt/python /opt/site /opt/source /opt/litestream-tui/bin
mount --bind "$base" /opt/python
mount --bind "$site" /opt/site
mount --bind "$source" /opt/source
cat > /opt/litestream-tui/bin/litestream-tui <<'SCRIPT'
#!/bin/sh
export PYTHONHOME=/opt/python PYTHONPATH=/opt/source:/opt/site PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python3 -m tui.cli "$@"
SCRIPT
chmod 755 /opt/litestream-tui/bin/litestream-tui

mount -t tmpfs -o mode=755 none /srv
mkdir /srv/app
chown app:app /srv/app
mount -t tmpfs -o mode=755 none /run

export container=other SYSTEMD_UNIT_PATH="$units" SYSTEMD_GENERATOR_PATH=/nonexistent
exec "$SYSTEMD" --system --unit=test.target --log-target=console --show-status=no
