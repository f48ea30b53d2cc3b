package app

import "anyloop/loops/gnet"

func init() {
	hosts["gnet"] = func(int) (Host, error) { return own(gnetloop.Backend()), nil }
}
