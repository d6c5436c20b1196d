# Sourced by deploy/quickstart and deploy/test: installs what a build needs and builds.
# Every step is named with its time, may be repeated, and stops the script with a clear message on failure.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
THIRD_PARTY=${REIN_THIRD_PARTY:-$ROOT/third_party}
BUILD_PRESET=${REIN_PRESET:-release}
BUILD_DIR=$ROOT/build/$BUILD_PRESET

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: runs the command, shows its output only when it fails.
step() {
  local name=$1 started=$SECONDS log
  shift
  log=$(mktemp)
  printf '%-44s' "$name ..."
  if "$@" >"$log" 2>&1; then
    printf ' done in %d s\n' $((SECONDS - started))
    rm -f "$log"
  else
    local rc=$?
    printf ' FAILED after %d s\n' $((SECONDS - started))
    tail -n 60 "$log" >&2
    fail "step '$name' failed (exit $rc); the whole output is in $log"
  fi
}

missing_packages() {
  local package
  grep -v '^#' "$ROOT/deploy/packages.txt" | while read -r package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

install_packages() {
  command -v apt-get >/dev/null || fail "this set-up needs Debian 12 or Ubuntu 24.04 (no apt-get found); see docs/install.md for other systems"
  local packages
  packages=$(missing_packages)
  [ -z "$packages" ] && { echo "Debian packages: all present"; return; }
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || fail "run as root or install sudo: these packages are missing: $packages"
  # shellcheck disable=SC2086
  step "installing Debian packages" apt_install $packages
}

# fetch_wheels REQUIREMENTS DIR: downloads pinned wheels and checks their hashes.
fetch_wheels() {
  local platforms=() glibc
  for glibc in 2_28 2_27 2_26 2_25 2_24 2_18 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
  python3 -m pip download -q --no-deps --only-binary=:all: --require-hashes --python-version 3.11 \
    "${platforms[@]}" --platform manylinux2014_x86_64 -d "$2" -r "$1"
}

# Headers and libraries only. torch/include/google would shadow the system's protobuf headers.
unpack_wheels() {
  local wheels=$1 into=$2 wheel
  for wheel in "$wheels"/*.whl; do
    unzip -qo "$wheel" 'torch/include/*' 'torch/lib/*' 'nvidia/*' 'pyarrow/include/*' 'pyarrow/lib*.so.*' \
      -x 'torch/include/google/*' 'torch/lib/libtorch_cuda*' 'torch/lib/libtorch_python*' 'torch/lib/libtorch_nvshmem*' \
      'pyarrow/libarrow_python*' 'pyarrow/libarrow_flight*' 'pyarrow/libarrow_s3*' 'pyarrow/libarrow_substrait*' -d "$into" ||
      [ $? = 11 ] # 11: a pattern that this wheel has nothing for
  done
}

install_wheels() {
  local stamp=$THIRD_PARTY/.wheels wanted
  wanted=$(sha256sum <"$ROOT/deploy/wheels.txt")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    echo "LibTorch and Arrow: present"
    return
  fi
  local work=$THIRD_PARTY/.unpacking
  rm -rf "$work" && mkdir -p "$work/wheels" "$work/root"
  step "downloading LibTorch and Arrow (600 MB)" fetch_wheels "$ROOT/deploy/wheels.txt" "$work/wheels"
  step "unpacking LibTorch and Arrow" unpack_wheels "$work/wheels" "$work/root"
  rm -rf "$THIRD_PARTY/torch" "$THIRD_PARTY/nvidia" "$THIRD_PARTY/pyarrow"
  mv "$work/root"/* "$THIRD_PARTY/"
  printf '%s\n' "$wanted" >"$stamp"
  rm -rf "$work"
}

# What the cuda preset links beyond install_wheels: LibTorch's CUDA library, and NCCL's headers where the toolkit has
# none. Nothing is fetched that is there already.
install_cuda_parts() {
  local work=$THIRD_PARTY/.unpacking toolkit
  toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
  rm -rf "$work" && mkdir -p "$work/torch" "$work/nccl"
  if [ -e "$THIRD_PARTY/torch/lib/libtorch_cuda.so" ]; then
    echo "LibTorch for CUDA: present"
  else
    grep '^torch==' "$ROOT/deploy/wheels.txt" >"$work/torch.txt"
    step "downloading LibTorch for CUDA (530 MB)" fetch_wheels "$work/torch.txt" "$work/torch"
    step "unpacking LibTorch for CUDA" unzip -qo "$work/torch/*.whl" torch/lib/libtorch_cuda.so \
      torch/lib/libtorch_nvshmem.so -d "$THIRD_PARTY"
  fi
  if [ -e "$toolkit/include/nccl.h" ] || [ -e "$THIRD_PARTY/nvidia/nccl/include/nccl.h" ]; then
    echo "NCCL headers: present"
  else
    step "downloading NCCL" fetch_wheels "$ROOT/deploy/wheels-cuda.txt" "$work/nccl"
    step "unpacking NCCL" unzip -qo "$work/nccl/*.whl" 'nvidia/nccl/*' -d "$THIRD_PARTY"
  fi
  rm -rf "$work"
}

# Clang takes half of GCC's time for the same code. Another compiler: CXX=g++ deploy/test, in a fresh build folder.
configure() {
  [ "$BUILD_PRESET" = cuda ] || export CXX=${CXX:-clang++-16}
  step "configuring ($BUILD_PRESET)" cmake --preset "$BUILD_PRESET" -DREIN_THIRD_PARTY="$THIRD_PARTY"
}

build() {
  step "building $*" cmake --build "$BUILD_DIR" --target "$@"
}

set_up() {
  cd "$ROOT" || fail "cannot enter $ROOT"
  [ "$(uname -m)" = x86_64 ] || fail "only x86-64 is supported, this is $(uname -m)"
  install_packages
  install_wheels
  configure
}
