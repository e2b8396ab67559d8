# Drawn from the .dat file beside this one; `gnuplot` with this script, in this folder, draws the
# picture again.
reset
set encoding utf8
if (!exists('out')) out = './hypergrid_128.png'
if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {
  set terminal pngcairo size 960,600 font 'Sans,13' background '#ffffff'
} else {
  set terminal png truecolor size 960,600 font 'Sans,12' background '#ffffff'
}
set output out
set border lc rgb '#404040' lw 1
set tics textcolor rgb '#202020'
set xlabel 'trajectories' noenhanced
set ylabel 'Jensen-Shannon divergence to the target (nats)' noenhanced
set border 3
set tics nomirror out scale 0.6
set rmargin 4
set xrange [0:1000000]
set yrange [9.9999999999999995e-07:1]
set xtics ('0' 0, '100k' 100000, '200k' 200000, '300k' 300000, '400k' 400000, '500k' 500000, '600k' 600000, '700k' 700000, '800k' 800000, '900k' 900000, '1M' 1000000)
set logscale y 10
set format y '10^{%T}'
set mytics 10
set grid x y  back lt 1 lc rgb '#d4d4d4' lw 1, lt 1 lc rgb '#eeeeee' lw 1
set key bottom left Left reverse noenhanced samplen 2 spacing 1.15
plot \
  './hypergrid_128.dat' index 0 using 1:2 with lines lw 1.6 lc rgb '#0072B2' dt 1 title '128x128_tb_on-s1', \
  './hypergrid_128.dat' index 1 using 1:2 with lines lw 1.6 lc rgb '#D55E00' dt 1 title '128x128_tb_off-s1', \
  './hypergrid_128.dat' index 2 using 1:2 with lines lw 1.6 lc rgb '#009E73' dt 1 title '128x128_forward_kl_on-s1', \
  './hypergrid_128.dat' index 3 using 1:2 with lines lw 1.6 lc rgb '#CC79A7' dt 1 title '128x128_wake_sleep_off-s1', \
  './hypergrid_128.dat' index 4 using 1:2 with lines lw 1.6 lc rgb '#E69F00' dt 1 title '128x128_reverse_wake_sleep_off-s1', \
  './hypergrid_128.dat' index 5 using 1:2 with lines lw 1.6 lc rgb '#56B4E9' dt 1 title '128x128_reverse_kl_on-s1'
