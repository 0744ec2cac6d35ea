# Builds the servers to measure against (benches/peers) when sourced with BUILD=1, all or PEER_PACKAGES, and leaves their
# folder in PEERS.
PEERS=$(realpath -m "${PEER_TARGET_DIR:-benches/peers/target}")
export PEERS=$PEERS/dist
if [ "${BUILD:-1}" = 1 ]; then
    for package in ${PEER_PACKAGES:-hand rmcp-peer}; do
        # Each by itself: together, cargo would unite the features of what they depend on.
        CARGO_TARGET_DIR=${PEERS%/dist} cargo build --quiet --profile dist --locked \
            --manifest-path benches/peers/Cargo.toml --package "$package" >&2
    done
fi
