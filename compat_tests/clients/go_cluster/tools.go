//go:build tools

// ipfs-cluster's own ctl is built from this module, too.
package main

import _ "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl"
