#!/bin/sh
# Records what `me probe` reads on this machine as a tree for tests/machines.
#
#     sudo scripts/record-machine.sh tests/machines/my-server
#
# It takes the energy counters (sys/class/powercap), the model and topology of the processors, the
# size of the memory and the load totals; no boot id, host name, serial number, user or process.
# Look through it before you pass it on. ME_ROOT=DIR reads DIR/sys and DIR/proc instead.
set -eu

target=${1:-}
root=${ME_ROOT:-}
if [ $# -ne 1 ] || [ -z "$target" ]; then
    echo "usage: record-machine.sh DIRECTORY" >&2
    exit 2
fi
if [ -e "$target" ]; then
    echo "record-machine.sh: $target is there already" >&2
    exit 2
fi

# copy FILE: where it can be read; what gives an error on reading stays out, as it is for a program.
copy() {
    text=$(cat "$root/$1" 2>/dev/null) || return 0
    mkdir -p "$target/$(dirname "$1")"
    printf '%s\n' "$text" >"$target/$1"
}

mkdir -p "$target"
unreadable=0
for zone in "$root"/sys/class/powercap/*:*; do
    [ -e "$zone/name" ] || continue
    name=${zone##*/}
    for file in "$zone"/name "$zone"/energy_uj "$zone"/max_energy_range_uj "$zone"/enabled \
        "$zone"/constraint_*_name "$zone"/constraint_*_max_power_uw; do
        [ -e "$file" ] || continue
        copy "sys/class/powercap/$name/${file##*/}"
    done
    [ -r "$zone/energy_uj" ] || unreadable=1
done

mkdir -p "$target/proc"
if [ -r "$root/proc/cpuinfo" ]; then
    awk -F: '
        /^(processor|vendor_id|model name|Model Name|cpu model|cpu|uarch|physical id|siblings|core id|cpu cores|CPU implementer|CPU part)[ \t0-9]*:/ { print }
        /^flags/ && / hypervisor/ { print "flags\t\t: hypervisor" }
        /^$/ { print }' "$root/proc/cpuinfo" >"$target/proc/cpuinfo"
fi
[ ! -r "$root/proc/stat" ] || grep '^cpu' "$root/proc/stat" >"$target/proc/stat"
[ ! -r "$root/proc/meminfo" ] || grep '^MemTotal:' "$root/proc/meminfo" >"$target/proc/meminfo"
for cpu in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    [ -d "$cpu/topology" ] || continue
    copy "sys/devices/system/cpu/${cpu##*/}/topology/core_id"
    copy "sys/devices/system/cpu/${cpu##*/}/topology/physical_package_id"
done
copy sys/hypervisor/type
copy sys/class/dmi/id/sys_vendor
copy sys/class/dmi/id/product_name
rmdir "$target/proc" 2>/dev/null || true

printf 'TODO: what machine this is, what it is good for, and how it was recorded.\n' >"$target/why.txt"
[ "$unreadable" = 0 ] || echo "record-machine.sh: energy_uj could not be read; run it with sudo" >&2
echo "$target: $(find "$target" -type f | wc -l) files; now write why.txt, and run the tests with ME_UPDATE=1"
