# Sourced by the scripts beside it: where things are, on which ports, and small words for talking to people.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
local_dir=${PLATFORM_LOCAL:-$root/.local}
[[ $local_dir == /* ]] || local_dir=$PWD/$local_dir
secrets=$local_dir/secrets

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the first of eight free ports in a row, the same as last time where they are still free or ours.
free_port_base() {
    local file=$local_dir/port-base candidate port
    if [[ -s $file ]]; then
        candidate=$(cat "$file")
        # One of two being up makes the ports ours, though the status then says that not all is well.
        if [[ $(PLATFORM_PORT_BASE=$candidate PLATFORM_LOCAL=$local_dir "$root/ops/servers" status 2>/dev/null || true) == *' up '* ]]; then
            echo "$candidate"
            return
        fi
    fi
    for candidate in $(cat "$file" 2>/dev/null) $(seq 5520 20 6500); do
        for port in $(seq "$candidate" $((candidate + 7))); do
            if listens "$port"; then
                continue 2
            fi
        done
        mkdir -p "$(dirname "$file")"
        echo "$candidate" >"$file"
        echo "$candidate"
        return
    done
    echo "no eight free ports in a row between 5520 and 6500" >&2
    return 1
}

# One base moves every port at once, so that a second checkout runs beside the first; single variables win over it.
if [[ ${PLATFORM_PORT_BASE:-} == auto ]]; then
    PLATFORM_PORT_BASE=$(free_port_base)
    export PLATFORM_PORT_BASE
fi
if [[ -n ${PLATFORM_PORT_BASE:-} ]]; then
    base=$PLATFORM_PORT_BASE
    default_ports=("$base" $((base + 1)) $((base + 2)) $((base + 3)) $((base + 4)) $((base + 5)) $((base + 6)) $((base + 7)))
else
    default_ports=(5480 5690 15690 4390 25690 5080 5081 5082)
fi
postgres_port=${PLATFORM_POSTGRES_PORT:-${default_ports[0]}}
rabbitmq_port=${PLATFORM_RABBITMQ_PORT:-${default_ports[1]}}
rabbitmq_management_port=${PLATFORM_RABBITMQ_MANAGEMENT_PORT:-${default_ports[2]}}
epmd_port=${PLATFORM_EPMD_PORT:-${default_ports[3]}}
rabbitmq_distribution_port=${PLATFORM_RABBITMQ_DISTRIBUTION_PORT:-${default_ports[4]}}
billing_port=${PLATFORM_BILLING_PORT:-${default_ports[5]}}
scheduler_port=${PLATFORM_SCHEDULER_PORT:-${default_ports[6]}}
worker_port=${PLATFORM_WORKER_PORT:-${default_ports[7]}}

database_roles=(platform_owner billing_app billing_system scheduler_app scheduler_system)

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_root() { [[ $(id -u) == 0 ]]; }

# Runs a long, silent command with its output in a log file, and says every half minute that it is still at it.
# Usage: with_progress <what> <log> <command...>
with_progress() {
    local what=$1 log=$2 started=$SECONDS pid ticks=0
    shift 2
    mkdir -p "$(dirname "$log")"
    say "$what"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if ((++ticks % 150 == 0)); then
            say "$what: $((SECONDS - started)) s so far"
        fi
    done
    local status=0
    wait "$pid" || status=$?
    if ((status != 0)); then
        tail -n 60 "$log" >&2
        say "$what: failed with $status; the whole output is in $log"
    fi
    return "$status"
}

# A secret is made once and kept in a file that only its owner reads; it is never printed but by `ops/servers env`.
secret() {
    local file=$secrets/$1
    if [[ ! -s $file ]]; then
        (
            umask 077
            mkdir -p "$secrets"
            chmod 700 "$secrets"
            head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
            mv "$file.new" "$file"
        )
    fi
    cat "$file"
}

# The group that everything started by these scripts belongs to is the caller's; a process is known by its id alone.
# A zombie is dead: in a container nobody may be there to collect it.
is_alive() {
    local state
    [[ -n ${1:-} && -r /proc/$1/stat ]] || return 1
    state=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) || return 1
    [[ -n $state && ${state:0:1} != Z ]]
}

# Ends a process that the caller has recognised as its own: asks first, insists after the given seconds.
end_process() {
    local pid=$1 patience=${2:-30} waited=0
    is_alive "$pid" || return 0
    kill -TERM "$pid" 2>/dev/null || true
    while is_alive "$pid"; do
        sleep 0.1
        if ((++waited >= patience * 10)); then
            kill -KILL "$pid" 2>/dev/null || true
            sleep 0.2
            return 0
        fi
    done
}
