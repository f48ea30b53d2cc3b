//go:build !linux && !darwin && !freebsd

package app

import "anyloop/loops/evio"

func init() {
	hosts["evio"] = func(int) (Host, error) {
		_, err := evioloop.New()
		return Host{}, err
	}
}
