
import polars as pl
def to_canonical(f):
    return f.select('row',(pl.col('bidirectional_first_seen_ms').cast(pl.Int64)*1000).alias('start_us'),(pl.col('bidirectional_last_seen_ms').cast(pl.Int64)*1000).alias('end_us'),
     (pl.col('bidirectional_duration_ms')/1000).alias('duration_s'),'src_ip','dst_ip','src_port','dst_port','protocol',fwd_packets='src2dst_packets',bwd_packets='dst2src_packets',fwd_bytes='src2dst_bytes',bwd_bytes='dst2src_bytes',
     l7_proto='application_name', **{'x_'+c:c for c in f.columns if '_piat' in c or '_ps' in c or c.endswith('n_packets')})
