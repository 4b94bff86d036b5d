//! The live driver: a cluster of replicas as stages on threads.
