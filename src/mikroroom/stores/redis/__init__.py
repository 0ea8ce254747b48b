"""Rooms in Redis (or Valkey), shared by many workers: any of them serves any person of any room.

A room is one versioned record. A verb is applied here, and committed by a script if the room is still at the
version it was applied to; the same script puts what follows into the inbox of every worker that has people in
the room. Effects are delivered from there alone, so all workers see a room's history in one order.
"""
