# To be sourced: `install_chromium LOG` has Chromium from the system's packages, since its libraries are: no registry has
# one. What apt says goes into the file LOG.
install_chromium() {
  command -v chromium >/dev/null && return
  local package="apt-get install -y --no-install-recommends chromium" log=$1
  echo "installing chromium"
  export DEBIAN_FRONTEND=noninteractive
  # The lists may be missing, or name a version that is gone.
  $package >"$log" 2>&1 || { apt-get update >>"$log" 2>&1 && $package >>"$log" 2>&1; } || {
    cat "$log" >&2
    return 1
  }
}
