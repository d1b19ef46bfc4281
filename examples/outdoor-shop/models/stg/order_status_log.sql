-- Grain: change of an order. Key: id.
-- Inputs: order_states.
CREATE MATERIALIZED VIEW order_status_log AS
SELECT state_no AS id, order_no AS order_id, state AS order_status, since AS create_time
FROM order_states
