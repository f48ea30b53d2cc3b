//go:build !(foreignloops && cgo && linux)

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprint(os.Stderr, `This program is built through cgo, on Linux, with a tag:

	apt-get install gcc pkg-config libglib2.0-dev
	go build -tags foreignloops ./examples/glib
`)
	os.Exit(2)
}
