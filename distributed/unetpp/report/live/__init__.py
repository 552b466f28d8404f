"""A page on this machine that follows runs and sweeps while they train, straight from their folders.

blocks      cards, tables and curves as JSON
views       what a folder, a run or a sweep shows
samples     predictions of a run's best checkpoint so far
site        which request shows what, without sockets
server      the HTTP server around it
"""
