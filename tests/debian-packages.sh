#!/bin/sh
# Install what some tests need beyond Python: a browser, a reverse proxy, a Redis, a TURN server, a Prometheus, a maker of certificates,
# npm, systemd (which a container may lack; it is not started), and what the commands in docs/operations.md use.
# Never fatal: a test that misses its program says so and is skipped (or, with CI=true, fails).

wanted=""
command -v chromium >/dev/null || wanted="$wanted chromium"
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || wanted="$wanted nginx-light"
command -v redis-server >/dev/null || command -v valkey-server >/dev/null || wanted="$wanted redis-server"
command -v turnserver >/dev/null || wanted="$wanted coturn"
command -v openssl >/dev/null || wanted="$wanted openssl"
command -v promtool >/dev/null || wanted="$wanted prometheus"
command -v curl >/dev/null || wanted="$wanted curl"
command -v jq >/dev/null || wanted="$wanted jq"
command -v npm >/dev/null || wanted="$wanted npm"
command -v systemd-socket-activate >/dev/null || wanted="$wanted systemd"
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed, so some tests will be skipped:$wanted"
    exit 0
fi

# No web server, Redis or Prometheus of a test must start as a service of the machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
fi

echo "Installing$wanted"
export DEBIAN_FRONTEND=noninteractive
{
    timeout 300 apt-get update -qq -o DPkg::Lock::Timeout=60
    # One by one: what cannot be had must not keep the others away.
    for package in $wanted; do
        timeout 900 apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=60 "$package" ||
            echo "$package could not be installed: some tests will be skipped"
    done
} </dev/null >/dev/null
exit 0
