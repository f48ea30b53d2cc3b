//go:build linux || darwin || freebsd

package app

import (
	"context"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/loops/evio"
)

func init() {
	hosts["evio"] = bridged
	hosts["evio-stream"] = func(int) (Host, error) {
		b, err := evioloop.Streams()
		if err != nil {
			return Host{}, err
		}
		return own(b), nil
	}
}

// bridged is an evio server that has no connections but the bridge's: core
// listens by itself and is turned by evio's loops, one per service thread.
func bridged(threads int) (Host, error) {
	b, err := evioloop.New()
	if err != nil {
		return Host{}, err
	}
	return Host{Backend: b, Run: func(ctx context.Context, eng *core.Engine) error {
		defer b.Close()
		defer context.AfterFunc(ctx, func() { eng.Stop(0) })()
		up, served := make(chan struct{}), make(chan error, 1)
		go func() {
			served <- b.Serve(evio.Events{NumLoops: threads, Serving: func(evio.Server) evio.Action {
				close(up)
				return evio.None
			}})
		}()
		select {
		case <-up:
		case err := <-served:
			return err
		}
		select {
		case <-b.Left(): // the engine has ended, or was detached
			if err := b.Shutdown(); err != nil {
				return err
			}
			return <-served
		case <-b.Lost():
			return b.Err()
		}
	}}, nil
}
