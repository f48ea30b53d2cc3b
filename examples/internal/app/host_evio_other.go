//go:build !linux && !darwin && !freebsd

package app

import "anyloop/loops/evio"

func init() {
	none := func(int) (Host, error) { return Host{}, evioloop.ErrUnsupported }
	hosts["evio"], hosts["evio-stream"] = none, none
}
