"""A Ray cluster of several nodes on this machine, with its dashboards; nothing here imports ray.

nodes       Ray's own processes: command lines, and waiting until they answer
services    Prometheus, optuna-dashboard, TensorBoard and the page that links them
processes   start, recognise and stop processes by session
ports       ports nobody else listens on
state       what is kept between `up`, `status` and `down`
local       up, status and down
"""
