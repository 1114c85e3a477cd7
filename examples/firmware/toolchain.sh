# shellcheck shell=bash
# The compiler for a bare-metal target. To be sourced; needs bash.
#
#   cargo_for TARGET SUBCOMMAND [ARGUMENT...]    cargo SUBCOMMAND --target TARGET ARGUMENT...
#   have_compiler_for TARGET                     fails, with advice, where there is none
#   for the variable BUILD_STD see below
#
# A rustup toolchain with the target installed comes first. Else Debian's packages
# rustc-web, cargo-web and rust-web-src: they have no library for these targets but its
# source, so the library is built along. RUSTC_BOOTSTRAP allows that one unstable flag on
# a stable compiler; our own code uses no unstable feature.

# What to build of the library where it must be built: "core", or "core,alloc".
BUILD_STD=${BUILD_STD:-core}

_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
_debian_rustc=/usr/bin/rustc
_debian_cargo=/usr/bin/cargo

# The library comes with the compiler on the path.
_has_installed_target() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$1" 2>/dev/null) || return 1
    compgen -G "$libraries/libcore-*.rlib" >/dev/null
}

# The library's source comes with Debian's compiler.
_has_debian_source() {
    [[ -x $_debian_rustc && -x $_debian_cargo ]] || return 1
    [[ -d $("$_debian_rustc" --print sysroot)/lib/rustlib/src/rust/library/core ]]
}

have_compiler_for() {
    _has_installed_target "$1" || _has_debian_source && return
    cat >&2 <<ADVICE
No compiler for $1. With rustup:
    rustup target add $1
On Debian, without:
    apt-get install --no-install-recommends rustc-web cargo-web rust-web-src binutils-arm-none-eabi
ADVICE
    return 1
}

# $RUSTFLAGS, and short names for the folders of this checkout and of the registry: an image has its
# sources' paths for panics, and its size must not depend on where it was built.
_flags() {
    local flags
    read -ra flags <<<"${RUSTFLAGS:-}"
    flags+=("--remap-path-prefix=$_root=/pilot-webhook" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
    local IFS=$'\x1f'
    printf %s "${flags[*]}"
}

cargo_for() (
    target=$1 subcommand=$2
    shift 2
    have_compiler_for "$target" || exit
    export CARGO_ENCODED_RUSTFLAGS
    CARGO_ENCODED_RUSTFLAGS=$(_flags)
    if _has_installed_target "$target"; then
        exec cargo "$subcommand" --target "$target" "$@"
    fi
    # Debian's compiler has no rust-lld. The variable's name: upper case, underscores.
    linker=CARGO_TARGET_${target^^}_LINKER
    if [[ $target == thumb* ]]; then
        export "${linker//[-.]/_}=arm-none-eabi-ld"
    fi
    # cargo finds its rustdoc and other tools on the path.
    export PATH=/usr/bin:$PATH RUSTC=$_debian_rustc RUSTC_BOOTSTRAP=1
    exec "$_debian_cargo" "$subcommand" -Zbuild-std="$BUILD_STD" --target "$target" "$@"
)
