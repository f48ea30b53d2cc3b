//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && poll_opt

package gnetloop

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

const pollOpt = true

func polling(*netpoll.Poller, netpoll.PollEventHandler) error { return ErrPollOpt }
