# Drawn from the .dat file beside this one; `gnuplot` with this script, in this folder, draws the
# picture again.
reset
set encoding utf8
if (!exists('out')) out = './epsilon.png'
if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {
  set terminal pngcairo size 1080,816 font 'Sans,13' background '#ffffff'
} else {
  set terminal png truecolor size 1080,816 font 'Sans,12' background '#ffffff'
}
set output out
set border lc rgb '#404040' lw 1
set tics textcolor rgb '#202020'
set multiplot
set label 1 'gradient estimators of P_F, batch 64, iteration 4000' at screen 0.5,0.977941 center noenhanced font ',15'
set border 3
set tics nomirror out scale 0.6
set grid x y back lt 1 lc rgb '#dcdcdc' lw 1

set lmargin at screen 0.088889
set rmargin at screen 0.481481
set tmargin at screen 0.916667
set bmargin at screen 0.605392
set title 'variance' noenhanced offset 0,-0.4
set xlabel 'epsilon of the behaviour policy' noenhanced offset 0,0.4
set ylabel 'trace of the covariance' noenhanced
set logscale y 10
set format y '10^{%T}'
set mytics 10
set xrange [0:0.5]
set yrange [*:*]
plot \
  './epsilon.dat' index 7 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#CC79A7' dt 3 notitle, \
  './epsilon.dat' index 6 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#CC79A7' dt 2 notitle, \
  './epsilon.dat' index 5 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#CC79A7' dt 1 notitle, \
  './epsilon.dat' index 4 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#009E73' dt 3 notitle, \
  './epsilon.dat' index 3 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#009E73' dt 2 notitle, \
  './epsilon.dat' index 2 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#009E73' dt 1 notitle, \
  './epsilon.dat' index 1 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#D55E00' dt 1 notitle, \
  './epsilon.dat' index 0 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#0072B2' dt 1 notitle

unset label
set lmargin at screen 0.588889
set rmargin at screen 0.981481
set tmargin at screen 0.916667
set bmargin at screen 0.605392
set title 'bias' noenhanced offset 0,-0.4
set xlabel 'epsilon of the behaviour policy' noenhanced offset 0,0.4
set ylabel 'bias / true gradient' noenhanced
set logscale y 10
set format y '10^{%T}'
set mytics 10
set xrange [0:0.5]
set yrange [*:*]
plot \
  './epsilon.dat' index 15 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#CC79A7' dt 3 notitle, \
  './epsilon.dat' index 14 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#CC79A7' dt 2 notitle, \
  './epsilon.dat' index 13 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#CC79A7' dt 1 notitle, \
  './epsilon.dat' index 12 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#009E73' dt 3 notitle, \
  './epsilon.dat' index 11 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#009E73' dt 2 notitle, \
  './epsilon.dat' index 10 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#009E73' dt 1 notitle, \
  './epsilon.dat' index 9 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#D55E00' dt 1 notitle, \
  './epsilon.dat' index 8 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#0072B2' dt 1 notitle

set lmargin at screen 0.088889
set rmargin at screen 0.481481
set tmargin at screen 0.487745
set bmargin at screen 0.176471
set title 'signal to noise' noenhanced offset 0,-0.4
set xlabel 'epsilon of the behaviour policy' noenhanced offset 0,0.4
set ylabel 'mean / standard deviation' noenhanced
set logscale y 10
set format y '10^{%T}'
set mytics 10
set xrange [0:0.5]
set yrange [*:*]
plot \
  './epsilon.dat' index 23 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#CC79A7' dt 3 notitle, \
  './epsilon.dat' index 22 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#CC79A7' dt 2 notitle, \
  './epsilon.dat' index 21 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#CC79A7' dt 1 notitle, \
  './epsilon.dat' index 20 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#009E73' dt 3 notitle, \
  './epsilon.dat' index 19 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#009E73' dt 2 notitle, \
  './epsilon.dat' index 18 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#009E73' dt 1 notitle, \
  './epsilon.dat' index 17 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#D55E00' dt 1 notitle, \
  './epsilon.dat' index 16 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#0072B2' dt 1 notitle

set lmargin at screen 0.588889
set rmargin at screen 0.981481
set tmargin at screen 0.487745
set bmargin at screen 0.176471
set title 'direction' noenhanced offset 0,-0.4
set xlabel 'epsilon of the behaviour policy' noenhanced offset 0,0.4
set ylabel 'cosine to the true gradient' noenhanced
unset logscale y
set format y '%g'
set mytics default
set xrange [0:0.5]
set yrange [*:*]
plot \
  './epsilon.dat' index 31 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#CC79A7' dt 3 notitle, \
  './epsilon.dat' index 30 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#CC79A7' dt 2 notitle, \
  './epsilon.dat' index 29 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#CC79A7' dt 1 notitle, \
  './epsilon.dat' index 28 using 1:2 with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#009E73' dt 3 notitle, \
  './epsilon.dat' index 27 using 1:2 with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#009E73' dt 2 notitle, \
  './epsilon.dat' index 26 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#009E73' dt 1 notitle, \
  './epsilon.dat' index 25 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#D55E00' dt 1 notitle, \
  './epsilon.dat' index 24 using 1:2 with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#0072B2' dt 1 notitle

# the legend: lines that are not drawn
unset title
unset xlabel
unset ylabel
unset tics
unset border
unset grid
unset logscale
set lmargin at screen 0.02
set rmargin at screen 0.98
set bmargin at screen 0
set tmargin at screen 0.100490
set key center center horizontal maxcols 3 Left reverse noenhanced samplen 3
set xrange [0:1]
set yrange [0:1]
plot \
  NaN with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#0072B2' dt 1 title 'tb:loss=half_squared', \
  NaN with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#D55E00' dt 1 title 'log_variance:loss=half_squared', \
  NaN with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#009E73' dt 1 title 'reverse_kl, weights plain', \
  NaN with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#009E73' dt 2 title 'reverse_kl, weights self_normalised', \
  NaN with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#009E73' dt 3 title 'reverse_kl, weights clipped', \
  NaN with linespoints lw 1.8 pt 4 ps 0.8 lc rgb '#CC79A7' dt 1 title 'forward_kl, weights plain', \
  NaN with linespoints lw 1.8 pt 6 ps 0.8 lc rgb '#CC79A7' dt 2 title 'forward_kl, weights self_normalised', \
  NaN with linespoints lw 1.8 pt 8 ps 0.8 lc rgb '#CC79A7' dt 3 title 'forward_kl, weights clipped'
unset multiplot
