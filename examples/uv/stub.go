//go:build !(foreignloops && cgo && linux)

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprint(os.Stderr, `This program is built through cgo, on Linux, with a tag:

	apt-get install gcc pkg-config libuv1-dev
	go build -tags foreignloops ./examples/uv
`)
	os.Exit(2)
}
