"""Redis and Valkey as the shared tier of Tiercel; `tiercel_redis.plugin` is the way in."""
