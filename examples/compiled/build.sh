#!/bin/sh
# The source build: compile, test, and leave one static program in dist/. VERSION comes from the build's configuration.
set -e
target=$(uname -m)-linux
musl=${MUSL:-/usr/lib/$target-musl}
tcc=${TCC:-/usr/lib/$target-gnu/tcc}

compile() { # OUTPUT SOURCE
    tcc -nostdinc -I"/usr/include/$target-musl" -I"$tcc/include" -DVERSION="\"${VERSION:-development}\"" \
        -nostdlib -static -o "$1" "$musl/crt1.o" "$musl/crti.o" "$2" "$musl/libc.a" "$tcc/libtcc1.a" "$musl/crtn.o"
}

mkdir -p dist
compile dist/test src/test.c
./dist/test
rm dist/test
compile dist/shop src/shop.c
echo "made dist/shop, version ${VERSION:-development}"
