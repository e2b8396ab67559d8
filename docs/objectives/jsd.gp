# JSD of every objective on the three problems of configs/objectives, one point a seed. Drawn from jsd.dat beside this file;
# `gnuplot jsd.gp` in this folder draws it again.
reset
set encoding utf8
if (!exists('out')) out = 'jsd.png'
if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {
  set terminal pngcairo size 1100,560 font 'Sans,12' background '#ffffff'
} else {
  set terminal png truecolor size 1100,560 font 'Sans,11' background '#ffffff'
}
set output out
stats 'jsd.dat' index 0 using 1 nooutput
rows = STATS_max
set border 3 lc rgb '#404040' lw 1
set tics textcolor rgb '#202020' nomirror out scale 0.6 noenhanced
set yrange [rows + 0.6:0.4]
set logscale x 10
set xtics enhanced
set format x '10^{%T}'
set grid x y back lt 1 lc rgb '#e2e2e2' lw 1
set multiplot
set tmargin at screen 0.93
set bmargin at screen 0.11
left = 0.17
width = 0.26
do for [p = 0:2] {
  set lmargin at screen left + p * (width + 0.02)
  set rmargin at screen left + p * (width + 0.02) + width
  set title (p == 0 ? '8x8, on-policy' : p == 1 ? '16x16, off-policy' : 'Old Faithful, 32x32') noenhanced offset 0,-0.3
  set xlabel (p == 1 ? 'exact Jensen-Shannon divergence after 128,000 trajectories (nats), a point for each seed' : ' ')
  step = p == 0 ? 1e4 : p == 1 ? 100 : 10
  set xtics step
  if (p == 0) {
    plot 'jsd.dat' index p using 4:1:ytic(2) with points pt 7 ps 0.9 lc rgb '#0072B2' notitle
  } else {
    set ytics 1 format ''
    plot 'jsd.dat' index p using 4:1 with points pt 7 ps 0.9 lc rgb '#0072B2' notitle
  }
}
unset multiplot
