#!/bin/sh
# One step of run.sh, RELEASE:STEP, in a fresh overlay of the release's tree:
# sh spec/distros/step.sh trixie:test.  A namespace of mounts and processes of
# its own: when this process is gone, so is all that it mounted and started.
set -eu
release=${1%%:*}
step=${1#*:}

if [ "${2:-}" != inside ]; then
  begin=$(date +%s)
  how=ok
  work=$(mktemp -d "$folder/$release-$step.XXXXXX")
  export work
  log=$folder/$release-$step.log
  timeout -k 30 "$STEP_LIMIT" unshare --mount --pid --fork --kill-child \
    sh "$0" "$1" inside >"$log" 2>&1 </dev/null || how=FAILED
  rm -rf --one-file-system "$work"
  printf '%-9s %-8s %-7s %5d s\n' "$release" "$step" "$how" \
    $(($(date +%s) - begin)) | tee -a "$folder/summary"
  [ "$how" = ok ] || tail -n 25 "$log"
  exit
fi

mkdir "$work/upper" "$work/work" "$work/tree"
tree=$work/tree
mount -t overlay overlay \
  -o "lowerdir=$folder/$release,upperdir=$work/upper,workdir=$work/work" \
  "$tree" 2>/dev/null || { # where the disk is itself an overlay
  mount --bind "$work/upper" "$tree"
  cp -a "$folder/$release/." "$tree"
}
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/tmp"
mkdir -p "$tree/root/squarecloud"
cp -R "$folder/source/." "$tree/root/squarecloud"
case $step in
install) command='sh spec/distros/install.sh "$PWD"/squarecloud-*.src.rock' ;;
*) command="make $step" ;;
esac
exec chroot "$tree" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  LC_ALL=C.UTF-8 sh -c "cd /root/squarecloud && $command"
