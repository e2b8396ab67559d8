# fluvial.pc (the library) and fluvial_run.pc (configuration files, run directories, pictures). A static
# library brings what it links into Libs, for whoever asks without --static. The prefix is found from where
# the file lies, so `cmake --install --prefix` may put it anywhere.
file(RELATIVE_PATH pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(openmp ${OpenMP_C_FLAGS})
list(JOIN FLUVIAL_BLAS_LIBS " " blas)
set(dl "")
foreach(library IN LISTS CMAKE_DL_LIBS)
  string(APPEND dl "-l${library}")
endforeach()
if(BUILD_SHARED_LIBS)
  set(scope .private)
else()
  set(scope "")
endif()

function(fluvial_pc name description requires libs private_requires private_libs)
  set(text "prefix=\${pcfiledir}/${pc_to_prefix}\n")
  string(APPEND text "libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}\n"
         "includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}\n\n"
         "Name: ${name}\nDescription: ${description}\nVersion: ${PROJECT_VERSION}\n"
         "Cflags: -I\${includedir}\n")
  if(scope)
    string(APPEND text "Requires: ${requires}\nRequires.private: ${private_requires}\n"
           "Libs: -L\${libdir} ${libs}\nLibs.private: ${private_libs}\n")
  else()
    string(APPEND text "Requires: ${requires} ${private_requires}\n"
           "Libs: -L\${libdir} ${libs} ${private_libs}\n")
  endif()
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc "${text}")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

fluvial_pc(fluvial "${PROJECT_DESCRIPTION}" "" "-lfluvial"
           "${FLUVIAL_BLAS_REQUIRES} libcjson libxxhash" "${blas} ${openmp} -pthread ${dl} -lm")
if(run_sources)
  fluvial_pc(fluvial_run "fluvial's configuration files and run directories" "fluvial"
             "-lfluvial_run" "yaml-0.1 libcjson libxxhash" "-pthread -lm")
endif()
