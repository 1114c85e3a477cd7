#!/usr/bin/env bash
# Builds the firmware, runs it in QEMU, and measures it. See --help.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: run.sh COMMAND [--board an386|lm3s6965] [ARGUMENT...]

  run BIN [KEY=VALUE...]     build a program, and run it with these arguments; the exit
                             status is the program's own
  build [BIN...]             build programs, all without a name
  sizes [BIN[+FEATURE...][,KEY=VALUE]...]
                             build each program, with these features instead of the usual
                             ones if there is a plus, run it with its arguments, and print
                             a table of flash, static RAM and peak stack (in bytes); all
                             but TLS, which wants a server, without a name
  crates BIN[+FEATURE...]    build a program, and print the bytes of code that each crate put into
                             it, wherever they were inlined, by its debug information
  cost [KEY=VALUE...]        build the program "cost" and run it where every instruction takes a
                             nanosecond: it prints what an event takes
  qemu BOARD IMAGE [KEY=VALUE...]
                             run an image; `cargo run` calls this

In the emulated network 10.0.2.2 is the host's loopback and 10.0.2.3 the name server.
During `sizes` and `cost` 10.0.2.100 port 7 echoes, and port 8080 answers POSTs.

Environment:
  QEMU           the emulator (qemu-system-arm)
  QEMU_ARGS      further options of it, separated by blanks
  NIC_ARGS       further options of its user network, each with a comma before
  FEATURES       cargo features besides the board's, separated by commas; unless set
                 "dhcp-guard,sntp,standard-webhooks,tls" for an386, none for lm3s6965
  CARGO_TARGET_DIR  as for cargo
USAGE
}

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

# The script runs from its own folder, so a path relative to the caller's goes first.
[[ -z ${CARGO_TARGET_DIR:-} ]] || CARGO_TARGET_DIR=$(realpath -m "$CARGO_TARGET_DIR")
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=toolchain.sh
source "$here/toolchain.sh"

# Sets what depends on the board.
choose_board() {
    board=$1
    case $board in
    an386)
        target=thumbv7em-none-eabihf machine=mps2-an386 nic=user,model=lan9118
        features=${FEATURES-dhcp-guard,sntp,standard-webhooks,tls}
        ;;
    lm3s6965)
        target=thumbv7m-none-eabi machine=lm3s6965evb nic=user,model=stellaris
        features=${FEATURES-}
        ;;
    *) fail "no board named $board; there are an386 and lm3s6965" ;;
    esac
}

# build [BIN...]
build() {
    local options=(--release --no-default-features --features "board-$board${features:+,$features}")
    local bin
    for bin in "$@"; do options+=(--bin "$bin"); done
    [[ ,$features, != *,rustls,* ]] || BUILD_STD=core,alloc
    (cd "$here" && cargo_for "$target" build "${options[@]}")
}

# The file that `build BIN` leaves.
image_of() {
    echo "${CARGO_TARGET_DIR:-$here/target}/$target/release/$1"
}

# The arguments of a program, which its documentation names: keys_of BIN
keys_of() {
    { grep -hs '^//!' "$here/src/bin/$1.rs" "$here/src/bin/$1"/*.rs || :; } |
        { grep -o '`[a-z_]*=' || :; } | tr -d '`=' | sort -u | tr '\n' ' '
}

# Here and not in the program, where it would take flash: check_arguments BIN [KEY=VALUE...]
check_arguments() {
    local bin=$1 keys word
    shift
    [[ -e $here/src/bin/$bin.rs || -d $here/src/bin/$bin ]] || fail "no program $bin"
    keys=$(keys_of "$bin")
    for word in "$@"; do
        [[ -n $keys ]] || fail "$bin takes no arguments"
        [[ $word == *=* ]] || fail "$word is not KEY=VALUE"
        [[ " $keys" == *" ${word%%=*} "* ]] || fail "$bin has no argument ${word%%=*}; there are $keys"
        [[ $word != *[[:space:]]* ]] || fail "$word: no value may have a blank"
    done
}

# qemu IMAGE [KEY=VALUE...]; semihosting gives the program the words after -append.
qemu() {
    local image=$1 extra status=0
    shift
    read -ra extra <<<"${QEMU_ARGS:-}"
    "${QEMU:-qemu-system-arm}" -M "$machine" -nic "$nic${NIC_ARGS:-}" \
        -display none -monitor none -serial none \
        -semihosting-config enable=on,target=native \
        "${extra[@]}" -kernel "$image" -append "$*" || status=$?
    # Here and not in the program, where it would take flash.
    case ${image##*/}:$status in
    webhook*:3) echo "failed: not every event was delivered" ;;
    webhook*:4) echo "failed: the counters do not add up" ;;
    esac
    return "$status"
}

find_size() {
    size=$(command -v size || command -v arm-none-eabi-size || command -v llvm-size) ||
        fail "this needs size, arm-none-eabi-size or llvm-size"
}

# The sum of some sections of an ELF file: section_bytes IMAGE NAME...
section_bytes() {
    local image=$1
    shift
    "$size" -A -d "$image" | awk -v names=" $* " 'index(names, " " $1 " ") { sum += $2 } END { print sum + 0 }'
}

# Sets the features that BIN[+FEATURE...] asks for, if it has a plus.
choose_features() {
    [[ $1 == *+* ]] || return 0
    features=${1#*+} features=${features//+/,}
}

# The first place of each instruction's that is in a crate is the innermost function it came from.
crates() {
    local image first bytes
    choose_features "$1"
    build "${1%%+*}"
    image=$(image_of "${1%%+*}")
    read -r first bytes < <("$size" -A -d "$image" | awk '$1 == ".text" { print $3, $2 }')
    seq "$first" 2 $((first + bytes - 2)) | xargs printf '%x\n' |
        addr2line -a -i -e "$image" | awk '
            function note() { if (seen) bytes[crate == "" ? "the library" : crate] += 2 }
            /^0x/ { note(); seen = 1; crate = ""; next }
            crate != "" { next }
            match($0, /registry\/src\/[^\/]*\/[^\/]*/) {
                crate = substr($0, RSTART, RLENGTH)
                sub(/.*\//, "", crate); sub(/-[0-9.]*(\+.*)?$/, "", crate); next
            }
            /\/transport-embedded\/src\// { crate = "pilot-webhook-embassy"; next }
            /\/core\/src\// && !/\/library\// { crate = "pilot-webhook-core"; next }
            /^src\// || /\/firmware\/src\// { crate = "the firmware" }
            END { note(); for (crate in bytes) print bytes[crate], crate }' | sort -rn
}

# One row of the table, for BIN[+FEATURE...][,KEY=VALUE]...
size_row() {
    local bin words image output peak
    IFS=, read -ra words <<<"$1"
    bin=${words[0]%%+*}
    check_arguments "$bin" "${words[@]:1}"
    local features=$features
    choose_features "${words[0]}"
    build "$bin"
    image=$(image_of "$bin")
    output=$(qemu "$image" "${words[@]:1}") || fail "$bin exited with status $?: $output"
    peak=$(sed -n 's/^stack: peak \([0-9]*\) .*/\1/p' <<<"$output")
    printf '| %s | %s | %d | %d | %s |\n' "$board" "${words[0]%+}" \
        "$(section_bytes "$image" .vector_table .text .rodata .data)" \
        "$(section_bytes "$image" .data .bss .uninit)" "${peak:--}"
}

# Servers without a server: QEMU starts a program for a connection to them.
serve_in_the_guests_network() {
    NIC_ARGS=${NIC_ARGS:-},guestfwd=tcp:10.0.2.100:7-cmd:cat
    NIC_ARGS+=,guestfwd="tcp:10.0.2.100:8080-cmd:$here/run.sh answer"
}

cost() {
    local features=${features:+$features,}meter
    check_arguments cost "$@"
    serve_in_the_guests_network
    build cost
    QEMU_ARGS="${QEMU_ARGS:-} -icount shift=0" qemu "$(image_of cost)" \
        "${@:-url=http://10.0.2.100:8080/}"
}

sizes() {
    local rows=("$@") row
    ((${#rows[@]})) ||
        rows=(idle+ engine+ "tcp+,host=10.0.2.100" "webhook+,url=http://10.0.2.100:8080/")
    find_size
    serve_in_the_guests_network
    echo "| board | program | flash | .data+.bss | peak stack |"
    echo "|---|---|---|---|---|"
    for row in "${rows[@]}"; do size_row "$row"; done
}

# Answers 200 to every request on the standard input: the server for `sizes`.
answer() {
    local line length=0
    local LC_ALL=C
    while IFS= read -r line; do
        line=${line%$'\r'}
        case ${line,,} in
        content-length:*) length=${line#*:} ;;
        "")
            IFS= read -r -d '' -N "$((length))" line
            printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
            ;;
        esac
    done
}

command=${1:-}
shift || true
case $command in
-h | --help | help) usage && exit ;;
run | build | cost | crates | sizes) ;;
answer) answer && exit ;;
qemu)
    (($# >= 2)) || fail "qemu needs a board and an image"
    choose_board "$1"
    # An image of another name is what somebody else made of it.
    [[ -z $(keys_of "${2##*/}") ]] || check_arguments "${2##*/}" "${@:3}"
    qemu "${@:2}"
    exit
    ;;
"") usage >&2 && exit 2 ;;
*) fail "no command $command; see --help" ;;
esac

choose_board an386
words=()
while (($#)); do
    case $1 in
    --board) choose_board "${2:?--board needs a name}" && shift ;;
    --board=*) choose_board "${1#*=}" ;;
    -*) fail "no option $1" ;;
    *) words+=("$1") ;;
    esac
    shift
done
case $command in
run)
    ((${#words[@]})) || fail "run needs the name of a program"
    check_arguments "${words[@]}"
    build "${words[0]}"
    qemu "$(image_of "${words[0]}")" "${words[@]:1}"
    ;;
build) build "${words[@]}" ;;
cost) cost "${words[@]}" ;;
crates)
    ((${#words[@]} == 1)) || fail "crates needs the name of a program"
    find_size
    crates "${words[0]}"
    ;;
sizes) sizes "${words[@]}" ;;
esac
